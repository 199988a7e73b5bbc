-- Advisory lock: a lock with the sale's number, and then a check and a write that are safe under it
-- alone. Without its first statement this script oversells.
--
-- Locks: the number, until the COMMIT has reached the disk; the row as well, which nobody contends for.
-- Costs: one WAL flush for each order, as with the row's own lock, and a round trip more. Whoever sells
-- without asking for the number is not kept out.
-- The right tool: for a decision about rows that do not exist yet, or about many that have no
-- parent row to lock. Not for this one.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
BEGIN;
SELECT pg_advisory_xact_lock(:sale_id);
SELECT stock_left FROM sales WHERE id = :sale_id \gset
\if :stock_left >= :quantity
\set stock_left :stock_left - :quantity
UPDATE sales SET stock_left = :stock_left WHERE id = :sale_id;
INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key)
VALUES (gen_random_uuid(), :sale_id, :user_id, :quantity, 'confirmed', gen_random_uuid()::text);
\endif
COMMIT;
