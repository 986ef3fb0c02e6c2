-- What a day brings: the nightly predictions and the users' visits. Whoever runs it asks first whether the last
-- predictions are old, because each run adds rows.
INSERT INTO predictions (customer_id, churn_probability, risk_level, model_version)
SELECT customer_id, churn_probability, risk_level, model_version
FROM predictions
WHERE id BETWEEN 19501 AND 20000
ORDER BY id;

INSERT INTO user_sessions (user_id, started_at, last_seen_at)
SELECT id, now() - (id % 40 + 1) * interval '3 minutes', now() - (id % 40) * interval '3 minutes'
FROM users
WHERE active AND id % 5 <> 0
ORDER BY id;
