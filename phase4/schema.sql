-- Phase 4: what is for sale, who wanted it, and what came of it. Whole: it starts from an empty
-- database.

CREATE TABLE sales (
    id             bigint      PRIMARY KEY CHECK (id > 0),
    name           text        NOT NULL,
    price_cents    bigint      NOT NULL CHECK (price_cents >= 0),
    stock_total    bigint      NOT NULL CHECK (stock_total >= 0),
    stock_left     bigint      NOT NULL CHECK (stock_left BETWEEN 0 AND stock_total),
    per_user_limit integer     NOT NULL CHECK (per_user_limit > 0),
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL CHECK (ends_at > starts_at)
);

-- Every accepted order leaves a row once it is decided: who was told 202 asks later what came of
-- it. It is judged by accepted_at. decided_at may be much later; it is not the transaction's start,
-- which comes before the wait for the sale's row.
CREATE TABLE orders (
    id          uuid        PRIMARY KEY,
    sale_id     bigint      NOT NULL REFERENCES sales,
    user_id     bigint      NOT NULL CHECK (user_id > 0),
    quantity    integer     NOT NULL CHECK (quantity > 0),
    status      text        NOT NULL CHECK (status IN ('confirmed', 'rejected', 'failed')),
    reason      text,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((reason IS NULL) = (status = 'confirmed'))
);

-- The per-user limit sums over this. Orders that were not confirmed are not in it: however many a
-- user sends, the sum reads no more rows than he may buy units.
CREATE INDEX orders_by_user ON orders (sale_id, user_id) WHERE status = 'confirmed';

-- What the harness's audit reads, in every phase alike.
CREATE VIEW audit_sales AS
    SELECT id AS sale_id, stock_total, stock_left, per_user_limit FROM sales;

CREATE VIEW audit_orders AS
    SELECT id AS order_id, sale_id, user_id, quantity, status, reason,
           NULL::text AS idempotency_key, decided_at
    FROM orders;
