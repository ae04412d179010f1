-- Each operation is one function, one statement, one transaction. Answers are haoyuan's outcome codes.

-- What is refused as sold out reads one row. Two holds of one patient at a time take turns: without
-- the lock both could pass the limit.
CREATE FUNCTION hold(
  of_id uuid, of_patient uuid, of_account uuid, of_session bigint, of_slot smallint,
  of_deadline bigint, most integer, now_ms bigint
) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  places integer;
  known appointment;
BEGIN
  SELECT free INTO places FROM slot WHERE session = of_session AND slot = of_slot;
  IF NOT FOUND THEN RETURN 403; END IF;
  IF places > 0 THEN
    PERFORM pg_advisory_xact_lock(uuid_hash_extended(of_patient, 0));
    IF EXISTS (SELECT FROM restriction WHERE patient = of_patient AND until > now_ms) THEN
      RETURN 510;
    END IF;
    IF (SELECT count(*) FROM appointment WHERE patient = of_patient AND status <> 'c') < most THEN
      INSERT INTO appointment
        VALUES (of_id, of_patient, of_account, of_session, of_deadline, of_slot, 'p')
        ON CONFLICT DO NOTHING;
      IF FOUND THEN
        UPDATE slot SET free = free - 1
          WHERE session = of_session AND slot = of_slot AND free > 0;
        IF FOUND THEN RETURN 0; END IF;
        DELETE FROM appointment WHERE id = of_id;
        RETURN 405;
      END IF;
      places := 500;
    ELSE
      places := 511;
    END IF;
  ELSE
    places := 405;
  END IF;
  -- Refused, unless it is a retry.
  SELECT * INTO known FROM appointment WHERE id = of_id;
  IF NOT FOUND THEN RETURN places; END IF;
  IF (known.patient, known.account, known.session, known.slot)
    = (of_patient, of_account, of_session, of_slot) THEN RETURN 1; END IF;
  RETURN 400;
END $$;

CREATE FUNCTION book(of_id uuid, now_ms bigint) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  known appointment;
BEGIN
  UPDATE appointment SET status = 'b'
    WHERE id = of_id AND status = 'p' AND deadline > now_ms;
  IF FOUND THEN RETURN 0; END IF;
  SELECT * INTO known FROM appointment WHERE id = of_id;
  IF NOT FOUND THEN RETURN 600; END IF;
  IF known.status = 'b' THEN RETURN 1; END IF;
  RETURN 602;
END $$;

CREATE FUNCTION cancel(of_id uuid) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  ended appointment;
BEGIN
  UPDATE appointment SET status = 'c' WHERE id = of_id AND status <> 'c' RETURNING * INTO ended;
  IF FOUND THEN
    UPDATE slot SET free = free + 1 WHERE session = ended.session AND slot = ended.slot;
    RETURN 0;
  END IF;
  IF EXISTS (SELECT FROM appointment WHERE id = of_id) THEN RETURN 1; END IF;
  RETURN 600;
END $$;

-- A thousand at a time; rows that somebody books at this moment are left alone.
CREATE FUNCTION expire(now_ms bigint) RETURNS bigint LANGUAGE sql AS $$
  WITH ended AS (
    UPDATE appointment SET status = 'c' WHERE id IN (
      SELECT id FROM appointment WHERE status = 'p' AND deadline <= now_ms
        ORDER BY deadline LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING session, slot
  ), places AS (
    UPDATE slot SET free = slot.free + freed.places
      FROM (SELECT session, slot, count(*)::integer AS places FROM ended GROUP BY 1, 2) AS freed
      WHERE slot.session = freed.session AND slot.slot = freed.slot
  )
  SELECT count(*) FROM ended
$$;
