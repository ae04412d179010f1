//! The table of appointments, read: lines to rows, and what is wrong with the others.
//!
//! **Architecture invariant:** a line is a row or a rejection with its number and reason. Nothing
//! here decides about places.

use std::io::{self, BufRead, BufReader, Read};

use csv::ByteRecord;
use hashbrown::HashSet;
use jiff::tz::TimeZone;

use crate::model::{AppointmentId, PatientId, RequestId, Timestamp};

/// A line that can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its number in the file, as an editor shows it. The header is line 1.
    pub(super) line: u64,
    pub(super) appointment: AppointmentId,
    pub(super) patient: PatientId,
    /// When it was booked.
    pub(super) scheduled: Timestamp,
    /// 00:00 UTC of the day of the visit.
    pub(super) day: Timestamp,
    pub(super) neighbourhood: String,
    /// Whether the patient came.
    pub(super) came: bool,
}

/// A line that cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// What a file holds, in its own order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) rejected: Vec<Rejection>,
}

/// Why a file is no table of appointments at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    #[error("its first line has no column {0:?}")]
    NoColumn(&'static str),
}

/// Reads CSV, packed with gzip or not: the first two bytes tell.
pub(super) fn read(file: impl Read) -> Result<Table, TableError> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        read_csv(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        read_csv(file)
    }
}

fn read_csv(text: impl Read) -> Result<Table, TableError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let columns = Columns::find(reader.byte_headers().map_err(io_error)?)?;
    let mut table = Table::default();
    let mut known = HashSet::with_hasher(foldhash::fast::FixedState::default());
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(io_error)? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = columns.row(line, &record).and_then(|row| {
            let new = known.insert(row.appointment.request().0 & u128::from(u64::MAX));
            if new { Ok(row) } else { Err("its AppointmentID stands further up".to_owned()) }
        });
        match row {
            Ok(row) => table.rows.push(row),
            Err(reason) => table.rejected.push(Rejection { line, reason }),
        }
    }
    Ok(table)
}

/// Where the columns are that are used.
struct Columns {
    count: usize,
    patient: usize,
    appointment: usize,
    scheduled: usize,
    day: usize,
    neighbourhood: usize,
    no_show: usize,
}

impl Columns {
    fn find(header: &ByteRecord) -> Result<Self, TableError> {
        let find = |name: &'static str| {
            let is = |field: &[u8]| {
                let field = field.trim_ascii();
                field.strip_prefix(BYTE_ORDER_MARK).unwrap_or(field) == name.as_bytes()
            };
            header.iter().position(is).ok_or(TableError::NoColumn(name))
        };
        Ok(Self {
            count: header.len(),
            patient: find("PatientId")?,
            appointment: find("AppointmentID")?,
            scheduled: find("ScheduledDay")?,
            day: find("AppointmentDay")?,
            neighbourhood: find("Neighbourhood")?,
            no_show: find("No-show")?,
        })
    }

    fn row(&self, line: u64, record: &ByteRecord) -> Result<Row, String> {
        if record.len() != self.count {
            return Err(format!("it has {} fields, the header {}", record.len(), self.count));
        }
        let field = |index: usize, name: &str| {
            let text = record.get(index).map(<[u8]>::trim_ascii).unwrap_or_default();
            let text = std::str::from_utf8(text).map_err(|_| format!("{name} is no UTF-8"))?;
            if text.is_empty() { Err(format!("{name} is empty")) } else { Ok(text) }
        };
        let patient = field(self.patient, "PatientId")?;
        let number = field(self.appointment, "AppointmentID")?;
        let scheduled = field(self.scheduled, "ScheduledDay")?;
        let day = field(self.day, "AppointmentDay")?;
        let neighbourhood = field(self.neighbourhood, "Neighbourhood")?;
        let no_show = field(self.no_show, "No-show")?;

        let number = parse_number(number)
            .ok_or_else(|| format!("AppointmentID {number:?} is no number below 2^62"))?;
        let scheduled = parse_time(scheduled)
            .ok_or_else(|| format!("ScheduledDay {scheduled:?} is no time since 1970"))?;
        let day =
            parse_day(day).ok_or_else(|| format!("AppointmentDay {day:?} is no day since 1970"))?;
        let came = match no_show {
            "No" => true,
            "Yes" => false,
            other => return Err(format!("No-show is {other:?}, neither Yes nor No")),
        };
        Ok(Row {
            line,
            appointment: AppointmentId(RequestId::from_parts(scheduled, number.into()).0),
            patient: patient_named(patient),
            scheduled,
            day,
            neighbourhood: neighbourhood.to_owned(),
            came,
        })
    }
}

/// A patient of a table, whose ids are opaque text: the hash of it.
fn patient_named(text: &str) -> PatientId {
    let hash = blake3::hash(format!("patient:{text}").as_bytes());
    let half = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    PatientId(u128::from_le_bytes(*half))
}

fn parse_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number: &u64| digits && number >> 62 == 0)
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    // What does not fit the 48 bits of an id is no time of an appointment.
    let millis = u64::try_from(time.as_millisecond()).ok().filter(|millis| millis >> 48 == 0);
    millis.map(Timestamp::from_millis)
}

/// 00:00 UTC of a date, or of the day that a time is on.
fn parse_day(text: &str) -> Option<Timestamp> {
    let time = parse_time(text).or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        let start = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        u64::try_from(start).ok().map(Timestamp::from_millis)
    })?;
    Some(time.minus_millis(time.as_millis() % DAY_MILLIS))
}

fn io_error(error: csv::Error) -> TableError {
    TableError::Unreadable(match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What a spreadsheet puts before the first header.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A day of UTC, which knows no leap second.
pub(super) const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const HEADER: &str =
        "PatientId,AppointmentID,ScheduledDay,AppointmentDay,Neighbourhood,No-show";
    const GOOD: &str = "53761528476E-5,5642903,2016-04-29T18:38:08Z,2016-05-02T00:00:00Z,JARDIM,No";

    fn rejection(line: &str) -> String {
        let table = read(format!("{HEADER}\n{line}\n{GOOD}\n").as_bytes()).unwrap();
        assert_eq!(table.rows.len(), 1, "the good line goes on after {line}");
        assert_eq!(table.rejected[0].line, 2);
        table.rejected[0].reason.clone()
    }

    #[test]
    fn a_line_becomes_a_row() {
        let table = read(format!("{HEADER}\n{GOOD}\n").as_bytes()).unwrap();
        let row = &table.rows[0];
        assert_eq!(row.line, 2);
        assert_eq!(row.scheduled, Timestamp::from_millis(1_461_955_088_000));
        assert_eq!(row.day, Timestamp::from_millis(1_462_147_200_000));
        assert_eq!(row.appointment.request().time(), row.scheduled);
        assert_eq!(row.patient, patient_named("53761528476E-5"));
        assert!(row.came && table.rejected.is_empty());
    }

    #[test]
    fn a_malformed_line_is_rejected_with_its_reason_and_the_rest_goes_on() {
        for (line, expected) in [
            (GOOD.replace(",No", ""), "it has 5 fields, the header 6"),
            (GOOD.replace("5642903", "56-42"), "AppointmentID \"56-42\" is no number below 2^62"),
            (GOOD.replace("5642903", "+5"), "AppointmentID \"+5\" is no number below 2^62"),
            (GOOD.replace("18:38:08Z", "25:38:08Z"), "is no time since 1970"),
            (GOOD.replace("2016-05-02T00:00:00Z", "soon"), "AppointmentDay \"soon\" is no day"),
            (GOOD.replace("2016-05-02T00:00:00Z", "1969-12-31"), "is no day since 1970"),
            (GOOD.replace("JARDIM", " "), "Neighbourhood is empty"),
            (GOOD.replace(",No", ",no"), "No-show is \"no\", neither Yes nor No"),
        ] {
            let reason = rejection(&line);
            assert!(reason.contains(expected), "{line}: {reason}");
        }
    }

    #[test]
    fn an_appointment_id_counts_once_even_under_another_time() {
        let again = GOOD.replace("18:38:08", "18:38:09");
        let table = read(format!("{HEADER}\n{GOOD}\n{again}\n").as_bytes()).unwrap();
        assert_eq!(table.rows.len(), 1);
        let twice = Rejection { line: 3, reason: "its AppointmentID stands further up".to_owned() };
        assert_eq!(table.rejected, [twice]);
    }

    #[test]
    fn a_packed_file_reads_like_a_plain_one() {
        let text = format!("\u{feff}{HEADER}\n{GOOD}\n");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(read(&packed[..]).unwrap(), read(text.as_bytes()).unwrap());
        assert!(matches!(read(&packed[..40]), Err(TableError::Unreadable(_))));
    }

    #[test]
    fn a_file_without_a_column_is_no_table() {
        let error = read(&b"PatientId,AppointmentID\n1,2\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "its first line has no column \"ScheduledDay\"");
    }
}
