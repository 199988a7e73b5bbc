-- A decision of INVENTORY=pessimistic, as pgbench can run it: the statements of phase 5's
-- inventory_pessimistic.c and order_rows.c, word for word (harness/tests/test_ceiling_sql.sh compares
-- them), with values for their parameters: id and fingerprint are made of the key. (Not by gen_random_uuid(): being
-- volatile, it would be called for each row of orders, and no index be used.) The stock that is written back
-- is drawn instead of computed, which is the same work for the database.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
\set key random(1, 1000000000000000)
\set accepted_us 1800000000000000
\set stock_left random(1, 1000000000)
BEGIN;
SELECT stock_left, per_user_limit, starts_at > :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch', ends_at <= :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch' FROM sales WHERE id = :sale_id FOR UPDATE;
SELECT (SELECT coalesce(sum(quantity), 0) FROM orders WHERE sale_id = :sale_id AND user_id = :user_id AND status = 'confirmed'), o.status, o.reason, o.sale_id, o.user_id, o.quantity FROM (VALUES (1)) one LEFT JOIN orders o ON o.id = md5(:key)::uuid;
INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason, idempotency_key, fingerprint) VALUES (md5(:key)::uuid, :sale_id, :user_id, :quantity, :accepted_us::float8 * interval '1 microsecond' + timestamptz 'epoch', 'confirmed', NULL, :key, sha256(:key)) ON CONFLICT DO NOTHING;
UPDATE sales SET stock_left = :stock_left WHERE id = :sale_id;
COMMIT;
