-- Phase 1's transaction, as pgbench can run it: the statements of phase1/inventory_pessimistic.c,
-- word for word (harness/tests/test_ceiling_sql.sh compares them), with values for its parameters.
-- The order's id is made here, which spares a round trip; the stock that is written back is drawn
-- instead of computed, which is the same work for the database.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
\set stock_left random(1, 1000000000)
BEGIN;
SELECT stock_left, per_user_limit, starts_at > now(), ends_at <= now() FROM sales WHERE id = :sale_id FOR UPDATE;
SELECT coalesce(sum(quantity), 0) FROM orders WHERE sale_id = :sale_id AND user_id = :user_id AND status = 'confirmed';
UPDATE sales SET stock_left = :stock_left WHERE id = :sale_id;
INSERT INTO orders (id, sale_id, user_id, quantity, status) VALUES (gen_random_uuid(), :sale_id, :user_id, :quantity, 'confirmed');
COMMIT;
