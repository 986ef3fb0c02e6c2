-- The same rows in every lab: 20 organizations, 200 users, 5,000 customers, 20,000 predictions.
-- Multiplying by a prime and taking the remainder spreads the values without a random generator.
INSERT INTO organizations (id, name, subscription_tier, created_at)
SELECT n,
       'Organization ' || lpad(n::text, 2, '0'),
       (ARRAY['starter', 'starter', 'professional', 'professional', 'enterprise'])[1 + n % 5],
       timestamptz '2024-01-01 00:00:00+00' + n * interval '9 days'
FROM generate_series(1, 20) AS n;

INSERT INTO users (id, organization_id, email, role, active, created_at)
SELECT n,
       1 + n % 20,
       'user' || n || '@organization' || 1 + n % 20 || '.example',
       (ARRAY['admin', 'analyst', 'analyst', 'viewer'])[1 + (n / 20) % 4],
       n % 17 <> 0,
       timestamptz '2024-07-01 00:00:00+00' + n * interval '1 day'
FROM generate_series(1, 200) AS n;

INSERT INTO customers
    (id, organization_id, external_id, tenure_months, monthly_charges, support_tickets, churned_at, created_at)
SELECT n,
       1 + n % 20,
       'C-' || lpad(n::text, 6, '0'),
       n * 31 % 72,
       20 + n * 7919 % 10000 / 100.0,
       n * 13 % 9,
       CASE WHEN n % 11 = 0 THEN timestamptz '2026-03-01 00:00:00+00' + n * interval '30 minutes' END,
       timestamptz '2025-01-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 5000) AS n;

INSERT INTO predictions (id, customer_id, churn_probability, risk_level, model_version, created_at)
SELECT n,
       1 + (n - 1) % 5000,
       probability,
       CASE WHEN probability >= 0.7 THEN 'high' WHEN probability >= 0.4 THEN 'medium' ELSE 'low' END,
       'churn-' || 1 + (n - 1) / 10000 || '.0',
       timestamptz '2026-01-01 00:00:00+00' + n * interval '10 minutes'
FROM generate_series(1, 20000) AS n
CROSS JOIN LATERAL (SELECT (n * 7919 % 10000 / 10000.0)::numeric(5, 4) AS probability) AS judged;

-- Rows that come later continue the numbers.
SELECT setval(pg_get_serial_sequence('organizations', 'id'), 20),
       setval(pg_get_serial_sequence('users', 'id'), 200),
       setval(pg_get_serial_sequence('customers', 'id'), 5000),
       setval(pg_get_serial_sequence('predictions', 'id'), 20000);

ANALYZE organizations, users, customers, predictions;
