//! How many subscriptions the primaries of a Cluster count.

use redis::Value;

use super::link_error::LinkError;

/// The sum of the subscriptions in the answers of all primaries to CLIENT INFO.
pub(super) fn subscriptions(answers: Value) -> Result<Option<usize>, LinkError> {
    let Value::Map(answers) = answers else { return Err(LinkError::Uncounted) };
    let mut sum = 0;
    for (_, answer) in answers {
        match answer {
            Value::ServerError(error) if matches!(error.code(), "NOPERM" | "ERR") => return Ok(None),
            // It may be another answer, such as the end of a subscription.
            answer => {
                let Ok(line) = redis::from_redis_value::<String>(answer) else { return Err(LinkError::Uncounted) };
                let mut fields = line.split_ascii_whitespace().filter_map(|field| field.split_once('='));
                if !fields.clone().any(|(name, _)| name == "id") {
                    return Err(LinkError::Uncounted);
                }
                let Some((_, count)) = fields.find(|(name, _)| *name == "ssub") else { return Ok(None) };
                sum += count.parse::<usize>().map_err(|_| LinkError::Uncounted)?;
            }
        }
    }
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use redis::PushKind;

    use super::*;

    fn line(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn answers(answers: Vec<Value>) -> Value {
        Value::Map(answers.into_iter().map(|answer| (line("127.0.0.1:6379"), answer)).collect())
    }

    #[test]
    fn subscriptions_are_counted_on_every_primary() {
        let primaries =
            answers(vec![line("id=7 sub=9 psub=9 ssub=40 multi=-1\n"), line("id=3 sub=0 ssub=2 multi=-1\n")]);
        assert!(matches!(subscriptions(primaries), Ok(Some(42))));
    }

    #[test]
    fn who_cannot_tell_is_not_asked_and_who_tells_something_else_is_not_trusted() {
        let old = answers(vec![line("id=7 sub=0 psub=0 multi=-1\n")]);
        assert!(matches!(subscriptions(old), Ok(None)));
        let moved = Value::Push { kind: PushKind::SUnsubscribe, data: vec![line("room"), Value::Int(0)] };
        for other in [moved, line("PONG"), line("id=7 ssub=many"), Value::Nil] {
            let other = answers(vec![line("id=7 ssub=1"), other]);
            assert!(matches!(subscriptions(other), Err(LinkError::Uncounted)));
        }
        assert!(matches!(subscriptions(Value::Okay), Err(LinkError::Uncounted)));
    }
}
