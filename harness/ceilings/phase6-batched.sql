-- A batch of INVENTORY=batched, as pgbench can run it: the statements of phase6/inventory_batched.c,
-- word for word (harness/tests/test_ceiling_sql.sh compares them), with values for their parameters.
-- 100 orders in each transaction. The arrays are made in the database, which the server does not do; the
-- stock that is written back is drawn.
\set sale_id 1
\set stock_left random(1, 1000000000)
(SELECT array_agg(gen_random_uuid())::text AS ids, array_agg(1 + (2000000000 * random())::bigint)::text AS users, array_agg(1)::text AS quantities, array_agg(1800000000000000)::text AS times, array_agg('confirmed'::text)::text AS statuses, array_agg(NULL::text)::text AS reasons, array_agg(gen_random_uuid()::text)::text AS keys, array_agg(sha256('x'))::text AS prints FROM generate_series(1, 100)) \gset
BEGIN;
SELECT stock_left, per_user_limit, (extract(epoch FROM least(greatest(starts_at, '1970-01-01Z'), '9999-01-01Z')) * 1000000)::bigint, (extract(epoch FROM least(greatest(ends_at, '1970-01-01Z'), '9999-01-01Z')) * 1000000)::bigint FROM sales WHERE id = :sale_id FOR UPDATE;
SELECT asked.place, bought.units, o.status, o.reason, o.sale_id, o.user_id, o.quantity FROM unnest(:ids::uuid[], :users::bigint[]) WITH ORDINALITY AS asked (id, user_id, place) LEFT JOIN LATERAL (SELECT * FROM orders WHERE id = asked.id OFFSET 0) o ON true CROSS JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS units FROM orders WHERE sale_id = :sale_id AND user_id = asked.user_id AND status = 'confirmed') bought WHERE o.id IS NOT NULL OR bought.units > 0;
INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason, idempotency_key, fingerprint) SELECT id, :sale_id, user_id, quantity, accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch', status, reason, key, fingerprint FROM unnest(:ids::uuid[], :users::bigint[], :quantities::integer[], :times::bigint[], :statuses::text[], :reasons::text[], :keys::text[], :prints::bytea[]) AS decided (id, user_id, quantity, accepted_us, status, reason, key, fingerprint);
UPDATE sales SET stock_left = :stock_left, version = version + 1 WHERE id = :sale_id;
COMMIT;
