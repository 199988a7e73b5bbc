-- Phase 0: what is for sale. Whole: it starts from an empty database.

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

-- What the harness's audit reads, in every phase alike. Nobody can order yet.
CREATE VIEW audit_sales AS
    SELECT id AS sale_id, stock_total, stock_left, per_user_limit FROM sales;

CREATE VIEW audit_orders AS
    SELECT NULL::uuid AS order_id, NULL::bigint AS sale_id, NULL::bigint AS user_id,
           NULL::integer AS quantity, NULL::text AS status, NULL::text AS reason,
           NULL::text AS idempotency_key, NULL::timestamptz AS decided_at
    WHERE false;
