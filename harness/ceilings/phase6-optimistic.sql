-- A try of INVENTORY=optimistic, as pgbench can run it: the statements of
-- phase6/inventory_optimistic.c, word for word (harness/tests/test_ceiling_sql.sh compares them),
-- with values for their parameters: id and fingerprint are made of the key. What pgbench runs are
-- tries; ceilings.sh counts those that succeeded.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
\set key random(1, 1000000000000000)
\set accepted_us 1800000000000000
SELECT stock_left, per_user_limit, starts_at > :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch' AS not_open, ends_at <= :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch' AS ended, version, (SELECT coalesce(sum(quantity), 0) FROM orders WHERE sale_id = :sale_id AND user_id = :user_id AND status = 'confirmed') AS bought, EXISTS (SELECT FROM orders WHERE id = md5(:key)::uuid) AS is_known FROM sales WHERE id = :sale_id \gset
WITH sold AS (UPDATE sales SET stock_left = stock_left - :quantity::integer, version = version + 1 WHERE id = :sale_id AND version = :version RETURNING id) INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, idempotency_key, fingerprint) SELECT md5(:key)::uuid, id, :user_id::bigint, :quantity::integer, :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch', 'confirmed', :key::text, sha256(:key)::bytea FROM sold;
