//! Parameters, rows and statement texts between the store's words and PostgreSQL's. Types are the
//! server's: a parameter is written as what the statement expects in its place. Pure.

use super::super::{Param, Row, StoreError};
use bytes::BytesMut;
use std::error::Error;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// `sql` with `$n` for `?n`; texts, quoted names and comments stay as they are.
pub(super) fn dollars(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut chars = sql.chars().peekable();
    let mut quote = None;
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(end), _) => {
                if char == end {
                    quote = None;
                }
            }
            (None, '\'' | '"') => quote = Some(char),
            (None, '-') if chars.peek() == Some(&'-') => quote = Some('\n'),
            (None, '?') if chars.peek().is_some_and(char::is_ascii_digit) => {
                out.push('$');
                continue;
            }
            (None, _) => {}
        }
        out.push(char);
    }
    out
}

/// A parameter on its way to the server.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) Param<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, ty) {
            (Param::Null, _) => Ok(IsNull::Yes),
            (Param::Int(value), &Type::INT8) => value.to_sql(ty, out),
            (Param::Int(value), &Type::INT4) => i32::try_from(value)?.to_sql(ty, out),
            (Param::Int(value), &Type::INT2) => i16::try_from(value)?.to_sql(ty, out),
            (Param::Text(value), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => {
                value.to_sql(ty, out)
            }
            (Param::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            (given, wanted) => {
                Err(format!("{} given where the statement wants {wanted}", kind(given)).into())
            }
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn kind(param: Param<'_>) -> &'static str {
    match param {
        Param::Null => "NULL",
        Param::Int(_) => "an integer",
        Param::Text(_) => "text",
        Param::Bytes(_) => "bytes",
    }
}

/// A row as closures see it.
pub(super) struct PgRow<'a> {
    pub(super) row: &'a tokio_postgres::Row,
}

/// A value as the server sent it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

impl<'a> PgRow<'a> {
    fn value(&self, column: usize) -> Result<(&'a Type, Option<&'a [u8]>), StoreError> {
        let described = self
            .row
            .columns()
            .get(column)
            .ok_or_else(|| StoreError::Engine(format!("the result has no column {column}")))?;
        let raw: Option<Raw<'a>> = self
            .row
            .try_get(column)
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        Ok((described.type_(), raw.map(|raw| raw.0)))
    }
}

fn wrong(column: usize, wanted: &'static str, ty: &Type, value: Option<&[u8]>) -> StoreError {
    StoreError::Type {
        column,
        wanted,
        found: if value.is_some() {
            ty.to_string()
        } else {
            "NULL".into()
        },
    }
}

impl Row for PgRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        let (ty, value) = self.value(column)?;
        value
            .and_then(|raw| integer(ty, raw))
            .ok_or_else(|| wrong(column, "an integer", ty, value))
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        let (ty, value) = self.value(column)?;
        value
            .filter(|_| matches!(*ty, Type::TEXT | Type::VARCHAR | Type::NAME))
            .and_then(|raw| std::str::from_utf8(raw).ok())
            .ok_or_else(|| wrong(column, "text", ty, value))
    }

    fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        let (ty, value) = self.value(column)?;
        value
            .filter(|_| *ty == Type::BYTEA)
            .ok_or_else(|| wrong(column, "bytes", ty, value))
    }

    fn is_null(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.value(column)?.1.is_none())
    }
}

/// Comparisons give booleans and sums give NUMERIC here where SQLite gives integers.
fn integer(ty: &Type, raw: &[u8]) -> Option<i64> {
    match *ty {
        Type::INT8 => raw.try_into().ok().map(i64::from_be_bytes),
        Type::INT4 => raw
            .try_into()
            .ok()
            .map(|b| i64::from(i32::from_be_bytes(b))),
        Type::INT2 => raw
            .try_into()
            .ok()
            .map(|b| i64::from(i16::from_be_bytes(b))),
        Type::BOOL => raw.first().map(|b| i64::from(*b != 0)),
        Type::NUMERIC => numeric(raw),
        _ => None,
    }
}

/// A whole NUMERIC in the binary form: number of digits, weight of the first, sign, scale, then
/// digits to the base 10,000. `None` for fractions, NaN and what 64 bits cannot hold.
fn numeric(raw: &[u8]) -> Option<i64> {
    let mut words = raw
        .chunks_exact(2)
        .map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (digits, weight, sign) = (words.next()?, words.next()?, words.next()?);
    let _scale = words.next()?;
    if weight > 4 || digits > weight.saturating_add(1) {
        return None;
    }
    let mut value: i128 = 0;
    for _ in 0..=weight.max(-1) {
        value = value * 10_000 + i128::from(words.next().unwrap_or(0));
    }
    match sign {
        0 => i64::try_from(value).ok(),
        0x4000 => i64::try_from(-value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_become_dollars() {
        assert_eq!(
            dollars(
                "SELECT '?1', \"?2\", x -- ?3\n FROM t WHERE a = ?1 AND b = ?12 OR 'it''s ?4' = ?2"
            ),
            "SELECT '?1', \"?2\", x -- ?3\n FROM t WHERE a = $1 AND b = $12 OR 'it''s ?4' = $2"
        );
    }

    #[test]
    fn whole_numerics_are_integers() {
        let encode = |words: &[i16]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        assert_eq!(numeric(&encode(&[0, 0, 0, 0])), Some(0));
        assert_eq!(numeric(&encode(&[1, 0, 0, 0, 42])), Some(42));
        assert_eq!(numeric(&encode(&[1, 1, 0, 0, 3])), Some(30_000));
        assert_eq!(numeric(&encode(&[2, 1, 0x4000, 0, 1, 5])), Some(-10_005));
        assert_eq!(numeric(&encode(&[2, 0, 0, 1, 1, 5000])), None);
        assert_eq!(numeric(&encode(&[0, 0, -0x4000, 0])), None);
        assert_eq!(
            numeric(&encode(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5807])),
            Some(i64::MAX)
        );
    }
}
