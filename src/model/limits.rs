//! Every bound of the model, with its reason, and how the bounds relate.

/// Claims of one appointment: a therapist, a room, a device, and as many again.
pub const CLAIMS_MAX: usize = 8;

/// Slots that a request may rank for one claim; more is a search, which is another operation.
pub const RANKED_SLOTS_MAX: usize = 8;

/// Consecutive slots of one claim: a day of quarter hours.
pub const RUN_SLOTS_MAX: u8 = 96;

/// Slots of one session: a day of five minutes each.
pub const SESSION_SLOTS_MAX: usize = 288;

/// Pools of one session.
pub const SESSION_POOLS_MAX: usize = 8;

/// Quotas of one session, slots × pools: what one journal record carries.
pub const SESSION_CELLS_MAX: usize = 1_024;

/// Places in one slot of one pool.
pub const QUOTA_MAX: u16 = 10_000;

/// The longest hold: a day, for an offer to somebody who must be reached by telephone.
pub const TTL_MILLIS_MAX: u32 = 24 * 60 * 60 * 1_000;

/// How far ahead of the node's clock a client's id may be made.
pub const ID_AHEAD_MILLIS_MAX: u64 = 60_000;

/// How long requests are remembered unless the configuration says otherwise.
pub const RETENTION_MILLIS_DEFAULT: u64 = 24 * 60 * 60 * 1_000;

/// Booking channels (渠道) that can be told apart: they are bits of a `u64`.
pub const CHANNELS_MAX: u8 = 64;

/// Organizations that one client certificate may name; more is "all".
pub const ACTOR_ORGANIZATIONS_MAX: usize = 32;

/// Bytes of one encoded journal record.
pub const RECORD_BYTES_MAX: usize = 4_000;

/// Shards that one command touches (invariant I-4).
pub const COMMAND_SHARDS_MAX: usize = 51;

/// Places that may be added to one session at a time: half of a practitioner's half-day of sixty
/// patients. More is no day's work, but a mistake.
pub const ADDED_PLACES_MAX: u16 = 32;

/// Homes of one command: of its request, its appointment, and a hold that it gives up.
pub const COMMAND_HOMES_MAX: usize = 3;

/// Ledgers of one command: of a patient, an account and a telephone, and of a patient whom a hold named
/// before; or of two keys of one patient. And of patients who may give way to a new one.
pub const COMMAND_LEDGERS_MAX: usize = 4 + GIVING_WAY_MAX;

/// Patients who may give way to a new one: those of an account and of a telephone.
pub const GIVING_WAY_MAX: usize = 2 * PERSONS_MAX as usize;

/// Patients of an account: three generations, and some. More is an office.
pub const PERSONS_MAX: u8 = 16;

/// Changes of persons that a rule names at most, and that a ledger keeps: the newest.
pub const CHANGES_MAX: u8 = 64;

/// Sessions that one move of an appointment touches, left and entered: the rest is for homes and ledgers.
pub const MOVE_SESSIONS_MAX: usize = COMMAND_SHARDS_MAX - COMMAND_HOMES_MAX - COMMAND_LEDGERS_MAX;

/// Appointments that one record forgets.
pub const FORGOTTEN_MAX: usize = 128;

/// Changes of the clocks that the hours of one session know: four years of them.
pub const OFFSETS_MAX: usize = 8;

/// The longest delay before a freed place comes back: a day, in milliseconds.
pub const RETURN_DELAY_MILLIS_MAX: u32 = 24 * 60 * 60 * 1_000;

/// Kinds of returning places that one record frees: 13 bytes each.
pub const RETURNED_MAX: usize = 128;

/// Entries of one draw: a region's largest, and as many again. They are ranked in one go.
pub const DRAW_ENTRIES_MAX: usize = 1 << 20;

/// Bytes of the value of a public beacon: 512 bits as hex digits.
pub const BEACON_BYTES_MAX: usize = 128;

/// Patients who may wait for one session at a time: a look at all of them is short.
pub const WAITLIST_ENTRIES_MAX: u16 = 1_000;

/// Entries of waitlists that one patient may have at a time.
pub const PATIENT_ENTRIES_MAX: usize = 16;

/// How far around the start of a slot a bound of attendance may lie: a day, in milliseconds.
pub const ATTENDANCE_MILLIS_MAX: u32 = 24 * 60 * 60 * 1_000;

/// Windows of a day in which numbers are picked up: of its half-days, and as many again.
pub const PICK_UP_WINDOWS_MAX: usize = 4;

/// Layers of a set of rules: a region, its hospitals, and some departments of them.
pub const RULE_LAYERS_MAX: usize = 64;

/// Bytes of a set of rules, as [`crate::model::Rules::weight`] reckons them: one record carries all.
pub const RULES_BYTES_MAX: usize = 3_700;

/// Tiers of one rule: a warning, and three steps after it.
pub const RULE_TIERS_MAX: usize = 4;

/// Appointments at a time that a restriction may still leave; more is hardly one.
pub const FEWER_MAX: u8 = 8;

/// Rules about violations of one layer.
pub const LAYER_VIOLATIONS_MAX: usize = 8;

/// The longest window of a rule about violations, in days and in months: ledgers keep somewhat more.
pub const VIOLATION_DAYS_MAX: u16 = 366;
/// The same in months.
pub const VIOLATION_MONTHS_MAX: u8 = 12;

/// Restrictions that follow from one end or booking; what else it led to follows from the next.
pub const BARRED_MAX: usize = 4;

/// Limits of one layer.
pub const LAYER_LIMITS_MAX: usize = 16;

/// Limits of waiting of one layer: two things are counted, in three scopes.
pub const WAIT_LIMITS_MAX: usize = 6;

/// Cool-downs of one layer: the same practitioner, department, hospital, and region.
pub const LAYER_COOLDOWNS_MAX: usize = 4;

/// The longest cool-down, in days: as far as bookings are made ahead.
pub const COOLDOWN_DAYS_MAX: u16 = 60;

/// The largest number that a limit of appointments names: fewer than a ledger keeps.
pub const LIMIT_COUNT_MAX: u16 = 200;

/// How long before they are in force stricter rules may have to be told of: a year, in days.
pub const NOTICE_DAYS_MAX: u16 = 366;
/// Steps that are kept of one restriction before it is only lifted or decided about: more often nobody
/// changes their mind in earnest.
pub const RESTRICTION_STEPS_MAX: usize = 12;

/// Other keys of one person: a rotation of all keys every year for a working life, and as many mistakes
/// would be fewer.
pub const KEYS_MAX: usize = 32;

/// Bytes of what a patient has, as [`crate::model::Estate::weight`] reckons them, that one merge carries
/// to another key: a hundred live appointments and a few strikes.
pub const MERGE_BYTES_MAX: usize = 3_300;

/// Versions of the rules that a node can still tell about.
pub const RULES_KEPT_MAX: usize = 64;

/// How long after they were asked for rules come into force at the earliest, in milliseconds: a
/// second after they are durable, and as much again to become so.
pub const RULES_LEAD_MILLIS: u64 = 2_000;

/// Rates of a set of rules: two of each kind, and a few more.
pub const RATES_MAX: usize = 16;

/// Shares of channels that a set of rules gives.
pub const SHARES_MAX: usize = 16;

/// Tokens of a bucket, and those that flow in within its period: they are counted in 20 bits.
pub const RATE_MAX: u32 = 1_000_000;

/// The longest period in which the tokens of a rate flow in: a day, in seconds.
pub const RATE_EVERY_SECONDS_MAX: u32 = 24 * 60 * 60;

/// The longest time for which a rate blocks: 31 days, in minutes. It is forgotten at a restart, so
/// what must last longer is no rate.
pub const BLOCK_MINUTES_MAX: u16 = 31 * 24 * 60;

/// The weight of a channel, where the least is 1.
pub const SHARE_WEIGHT_MAX: u16 = 1_000;

/// How long a ledger keeps what is over, in days: the longest window of a rule is a year, and a visit
/// of the same day a year ago lies in it wherever local midnight is.
pub const HISTORY_DAYS: u32 = 400;

/// Visits of one patient that a ledger keeps: more than any rule counts.
pub const HISTORY_MAX: usize = 255;

/// Of those, how often somebody probed: more than any rule about it counts.
pub const PROBED_MAX: usize = 32;

/// The longest time in which refusals count together as probing, in minutes: a day.
pub const PROBING_MINUTES_MAX: u16 = 24 * 60;

/// Days that a deadline in days of work makes an exception of: a year's holidays.
pub const RULE_DAYS_MAX: usize = 32;

/// Payments of one appointment: the one that it was booked with, and some that came too late.
pub const BILLS_MAX: usize = 8;

/// Facts of one record: a hold that is over and the end of waiting for it, another hold, its booking,
/// what became of the payment of both, what is kept of it, as many about who stands behind it, what
/// followed from it, and the rules that it was decided under.
pub const RECORD_FACTS_MAX: usize = 24;

const _: () = assert!(CLAIMS_MAX <= MOVE_SESSIONS_MAX);
// The longest facts: an opened session (a quota is two bytes, a pool's head and terms 160, a change of
// the clocks 10, of which hours of service and of offers know 8, the rest is under 500 bytes) and a
// list of forgotten appointments (16 bytes each).
const _: () = assert!(
    2 * SESSION_CELLS_MAX + 160 * SESSION_POOLS_MAX + 20 * OFFSETS_MAX + 500 <= RECORD_BYTES_MAX
);
const _: () = assert!(16 * FORGOTTEN_MAX + 600 <= RECORD_BYTES_MAX);
// Local time (10 for each change of the clocks) and what is beside the rules are under 200.
const _: () = assert!(RULES_BYTES_MAX + 10 * OFFSETS_MAX + 100 <= RECORD_BYTES_MAX);
// The keys of a merge, and what is beside what the patient has.
const _: () = assert!(MERGE_BYTES_MAX + 16 * KEYS_MAX + 100 <= RECORD_BYTES_MAX);
const _: () = assert!(13 * RETURNED_MAX + 600 <= RECORD_BYTES_MAX);
// What one waits for after all claims of an appointment, and what else is said of its end.
const _: () = assert!(52 * CLAIMS_MAX * LAYER_COOLDOWNS_MAX + 1_200 <= RECORD_BYTES_MAX);
