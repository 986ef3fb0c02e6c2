-- The same rows in every lab: 20 organizations, 200 users with 400 sessions, 5,000 customers, 20,000
-- predictions, 48 requests under the GDPR, 12 compliance checks. today.sql adds what has to be recent.
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

INSERT INTO user_sessions (id, user_id, started_at, last_seen_at)
SELECT n, 1 + n % 200, began, began + (n * 7 % 90) * interval '1 minute'
FROM generate_series(1, 400) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2026-03-01 06:00:00+00' + n * interval '95 minutes' AS began) AS session;

-- All ended within their month: a seed of fixed dates cannot have open ones that stay in time.
INSERT INTO gdpr_requests (id, customer_id, type, status, received_at, due_at, completed_at)
SELECT n,
       n * 101,
       (ARRAY['access', 'erasure', 'access', 'rectification', 'portability', 'erasure', 'objection', 'restriction'])
           [1 + n % 8],
       CASE WHEN n % 12 = 0 THEN 'refused' ELSE 'completed' END,
       received,
       received + interval '1 month',
       received + (1 + n * 5 % 26) * interval '1 day'
FROM generate_series(1, 48) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2026-01-29 09:00:00+00' + n * interval '2 days' AS received) AS request;

INSERT INTO compliance_checks (name, fulfilled, checked_at)
SELECT name, name <> 'retention_schedule', timestamptz '2026-05-01 00:00:00+00'
FROM unnest(ARRAY[
    'access_reviews', 'breach_procedure', 'consent_records', 'data_protection_officer', 'encryption_at_rest',
    'encryption_in_transit', 'impact_assessments', 'privacy_notice', 'processing_register', 'processor_contracts',
    'retention_schedule', 'transfer_safeguards'
]) AS name;

-- Rows that come later continue the numbers.
SELECT setval(pg_get_serial_sequence('organizations', 'id'), 20),
       setval(pg_get_serial_sequence('users', 'id'), 200),
       setval(pg_get_serial_sequence('customers', 'id'), 5000),
       setval(pg_get_serial_sequence('predictions', 'id'), 20000),
       setval(pg_get_serial_sequence('user_sessions', 'id'), 400),
       setval(pg_get_serial_sequence('gdpr_requests', 'id'), 48);

ANALYZE organizations, users, customers, predictions, user_sessions, gdpr_requests, compliance_checks;
