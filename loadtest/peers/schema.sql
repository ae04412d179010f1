-- Sessions with slots, and appointments with what finds them again. Half of each page of slots is
-- left free, so that a changed row stays on its page and no index is touched (HOT).
CREATE TABLE slot (
  session bigint NOT NULL,
  slot smallint NOT NULL,
  free integer NOT NULL CHECK (free >= 0),
  PRIMARY KEY (session, slot)
) WITH (fillfactor = 50);

CREATE TABLE restriction (
  patient uuid PRIMARY KEY,
  until bigint NOT NULL
);

-- The status is p (pending), b (booked) or c (ended). The deadline is in ms.
CREATE TABLE appointment (
  id uuid PRIMARY KEY,
  patient uuid NOT NULL,
  account uuid NOT NULL,
  session bigint NOT NULL,
  deadline bigint NOT NULL,
  slot smallint NOT NULL,
  status "char" NOT NULL
);

-- One live appointment of a patient in a session, and all live ones of a patient.
CREATE UNIQUE INDEX live ON appointment (patient, session) WHERE status <> 'c';
CREATE INDEX due ON appointment (deadline) WHERE status = 'p';
