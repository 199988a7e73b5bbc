-- A probe of INVENTORY=sharded with 16 shards, as pgbench can run it: the statement of
-- phase6/inventory_sharded.c, word for word (harness/tests/test_ceiling_sql.sh compares them), with
-- values for its parameters: id and fingerprint are made of the key. The sale must be divided
-- already, which the first order does that a server decides; no probe misses while there is plenty.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
\set key random(1, 1000000000000000)
\set accepted_us 1800000000000000
\set shard random(0, 15)
BEGIN;
WITH sale AS (SELECT per_user_limit, starts_at > :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch' AS not_open, ends_at <= :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch' AS ended, EXISTS (SELECT FROM orders WHERE id = md5(:key)::uuid) AS is_known FROM sales WHERE id = :sale_id::bigint), wanted AS (SELECT per_user_limit, :quantity::integer + coalesce((SELECT sum(quantity) FROM orders WHERE sale_id = :sale_id AND user_id = :user_id::bigint AND status = 'confirmed'), 0) AS units FROM sale WHERE NOT (not_open OR ended OR is_known)), buyer AS (INSERT INTO sale_buyers AS b (sale_id, user_id, units) SELECT :sale_id::bigint, :user_id::bigint, units FROM wanted WHERE units <= per_user_limit ON CONFLICT (sale_id, user_id) DO UPDATE SET units = greatest(b.units + :quantity, excluded.units) WHERE greatest(b.units + :quantity, excluded.units) <= (SELECT per_user_limit FROM sale) RETURNING sale_id), likely AS (SELECT shard FROM sale_shards WHERE sale_id = :sale_id AND stock_left >= :quantity ORDER BY shard < :shard::integer, shard LIMIT 1), taken AS (UPDATE sale_shards s SET stock_left = stock_left - :quantity FROM buyer, likely WHERE s.sale_id = :sale_id AND s.shard = likely.shard AND stock_left >= :quantity RETURNING s.sale_id), kept AS (INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, idempotency_key, fingerprint) SELECT md5(:key)::uuid, sale_id, :user_id::bigint, :quantity::integer, :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch', 'confirmed', :key::text, sha256(:key)::bytea FROM taken ON CONFLICT DO NOTHING RETURNING id) SELECT not_open, ended, is_known, EXISTS (SELECT FROM buyer), EXISTS (SELECT FROM taken), EXISTS (SELECT FROM kept) FROM sale;
COMMIT;
