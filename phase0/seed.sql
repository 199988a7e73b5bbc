-- Two sales: the one everybody wants, and one beside it.
INSERT INTO sales (id, name, price_cents, stock_total, stock_left, per_user_limit, starts_at, ends_at)
VALUES (1, 'Phone, last year''s model, half price', 19900, 1000, 1000, 2,
        '2026-01-01 00:00:00+00', '2099-01-01 00:00:00+00'),
       (2, 'Headphones', 4900, 1000, 1000, 2,
        '2026-01-01 00:00:00+00', '2099-01-01 00:00:00+00');
