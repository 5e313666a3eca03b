//! What holds of every reading, said without the reader's own means.

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use base64::{Engine, alphabet};
use policy::access::Action;
use policy::request::{Claim, JobRequest, Reading};

use crate::Message;

/// Fails where a reading cannot be right.
pub(crate) fn check(message: &Message, reading: &Reading) {
    let body = message.body.as_deref();
    match reading {
        Reading::NotAJob => assert!(!is_plainly_a_jobs(message), "a job token went by unseen"),
        Reading::Refused(refused) => {
            assert!((400..500).contains(&refused.malformed.status()), "{refused:?}");
            assert!(body.is_some() || may_be_a_jobs(message), "refused without a job token: {refused:?}");
        }
        Reading::Job(JobRequest { claim: Claim::Minted(Some(_)), accesses, .. }) => {
            assert!(accesses.is_empty() && may_be_a_jobs(message), "nobody's request became a job's");
        }
        Reading::Job(job) => {
            assert!(may_be_a_jobs(message) || body.is_some_and(may_hold_token), "nobody's request became a job's");
            check_job(message, job);
            // Without its mark a token is a job's on its own route alone, and not on another spelling of it.
            if job.token.expose().starts_with(b"glcbt-") || body.is_none() {
                check_other_spellings(message, reading);
            }
        }
        Reading::Body(_) | Reading::Passing(_) => panic!("a body was read twice"),
    }
}

/// The fields that a credential is read from.
const CARRIERS: [&str; 5] = ["authorization", "job-token", "private-token", "deploy-token", "x-nuget-apikey"];

fn check_job(message: &Message, job: &JobRequest) {
    let token = job.token.expose();
    assert!((1..=8192).contains(&token.len()) && !job.accesses.is_empty(), "{job:?}");
    let head = Message { body: None, ..message.clone() };
    // Of a JWT that is remembered, what its last bits say besides is not.
    let is_minted = matches!(job.claim, Claim::Minted(_));
    let is_in_head = if is_minted { jwt_stands_in(&head, token) } else { stands_in(&head, token) };
    let is_carried = message.fields.iter().any(|(name, value)| {
        let is_read = name == b":path" || CARRIERS.iter().any(|carrier| carrier.as_bytes() == name);
        is_read && stands_in(&Message { fields: vec![(name.clone(), value.clone())], body: None }, token)
    });
    assert!(is_in_head || stands_in(message, token), "the token is not in the request: {job:?}");
    // What no job may do is not forwarded as a job's: there is nobody to read it another way.
    let is_nobodys = job.accesses.iter().any(|access| matches!(access.action, Action::Unlisted | Action::ReadPublic));
    assert!(is_nobodys || is_plain(&as_read(message)), "a path that can be read in two ways was accepted: {job:?}");
    for (name, _) in &message.fields {
        assert!(!name.contains(&b'_') && name != b"x-http-method-override", "a field changes the reading");
    }
    for name in [":path", ":method", ":authority", "content-type", "content-length"] {
        assert!(message.all(name).count() <= 1, "`{name}` stands twice");
    }
    // The trigger takes the token of its form, whoever else is named in the head; and beside a credential that the forge
    // made, whoever else is named could have come alone.
    if is_carried && !is_minted {
        check_carriers(message, token);
    }
}

/// Several credentials are accepted where all are the same token.
fn check_carriers(message: &Message, token: &[u8]) {
    let present: Vec<_> = CARRIERS.iter().filter(|name| !message.first(name).is_empty()).collect();
    let is_same = |name: &&&str| {
        let fields = vec![(name.as_bytes().to_vec(), message.first(name).to_vec())];
        stands_in(&Message { fields, body: None }, token)
    };
    assert!(present.len() <= 1 || present.iter().all(is_same), "several credentials: {present:?}");
}

/// A path as the forge reads it: in the API the encoding of what stands for itself is undone.
pub(crate) fn as_read(message: &Message) -> Vec<u8> {
    let path = message.target().0;
    if !path.starts_with(format!("{}/api/v4/", message.root()).as_bytes()) {
        return path.to_vec();
    }
    let mut read = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, behind)) = rest.split_first() {
        let encoded = rest.get(..3).map(percent_decoded).filter(|one| *byte == b'%' && one.len() == 1);
        match encoded.as_deref() {
            Some([one]) if one.is_ascii_alphanumeric() || b"-._~".contains(one) => {
                read.push(*one);
                rest = &rest[3..];
            }
            _ => {
                read.push(*byte);
                rest = behind;
            }
        }
    }
    read
}

/// An accepted request in another spelling of its path is refused.
fn check_other_spellings(message: &Message, reading: &Reading) {
    let target = message.first(":path");
    let end = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    let refused = |changed: Vec<u8>| {
        let read = message.with_target(changed.clone()).read();
        let is_unread = matches!(&read, Reading::Job(job) if matches!(job.claim, Claim::Minted(Some(_))));
        // A value of the API is the same in either spelling.
        let is_same = read == *reading && as_read(&message.with_target(changed.clone())) == as_read(message);
        let is_refused = is_unread || matches!(read, Reading::Refused(_));
        assert!(is_refused || is_same, "`{}` is accepted too", changed.escape_ascii());
    };
    for (at, byte) in target[..end].iter().enumerate() {
        // One byte in seven: which, depends on the length, and so all of them have their turn.
        let is_encoding = target[at.saturating_sub(2)..at].contains(&b'%');
        if byte.is_ascii_alphanumeric() && !is_encoding && at % 7 == end % 7 {
            refused([&target[..at], format!("%{byte:02X}").as_bytes(), &target[at + 1..]].concat());
        }
        if *byte == b'/' {
            for detour in ["/", "/.", "/x/..", "/%2e", "/x/%2E."] {
                refused([&target[..at], detour.as_bytes(), &target[at..]].concat());
            }
        }
    }
    // The order of fields of one name may matter; that of the names must not.
    let mut reordered = message.clone();
    reordered.fields.sort_by(|(one, _), (other, _)| other.cmp(one));
    assert_eq!(unordered(reordered.read()), unordered(reading.clone()), "the order of the fields matters");
}

/// The fields that are to go are a set, and are listed as they came.
fn unordered(mut reading: Reading) -> Reading {
    if let Reading::Job(JobRequest { bare: Some(bare), .. }) = &mut reading {
        bare.headers.sort();
    }
    reading
}

/// Whether a token stands in a request: as it is, percent-encoded, in base64, inside a JWT, or escaped in JSON.
fn stands_in(message: &Message, token: &[u8]) -> bool {
    let holds = |text: &[u8]| text.windows(token.len()).any(|part| part == token);
    let holds_within = |text: &[u8]| {
        let words = text.split(|b| !(b.is_ascii_alphanumeric() || b"+/=-_".contains(b)));
        words.into_iter().any(|word| {
            let bare: &[u8] = word.strip_suffix(b"==").or(word.strip_suffix(b"=")).unwrap_or(word);
            STANDARD.decode(word).or(URL_SAFE_NO_PAD.decode(bare)).is_ok_and(|login| {
                holds(&login) || serde_json::from_slice(&login).is_ok_and(|json| holds(&unescaped(json)))
            })
        })
    };
    let body = message.body.as_deref().unwrap_or_default();
    let texts = message.fields.iter().map(|(_, value)| value.as_slice()).chain([body]);
    texts.into_iter().any(|text| {
        let once = percent_decoded(text);
        holds(text) || holds(&once) || holds_within(text) || holds_within(&once)
    }) || serde_json::from_slice(body).is_ok_and(|json| {
        let json = unescaped(json);
        holds(&json) || holds_within(&json)
    })
}

/// Whether what is signed of a JWT stands in a request, but for the last letter of each part.
fn jwt_stands_in(message: &Message, signed: &[u8]) -> bool {
    signed.split(|b| *b == b'.').all(|part| part.split_last().is_none_or(|(_, part)| stands_in(message, part)))
}

/// JSON in which nothing is escaped that need not be.
fn unescaped(json: serde_json::Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

/// Whether a path has one reading: nothing encoded that stands for itself or that some reader treats as more than
/// text, and no segment that is empty or made of dots, before and after its encoding is undone.
fn is_plain(path: &[u8]) -> bool {
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        let is_text = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if byte == b'%' {
            let digits = [bytes.next(), bytes.next()].map(|digit| char::from(digit.unwrap_or_default()).to_digit(16));
            let [Some(high), Some(low)] = digits else { return false };
            let decoded = u8::try_from(high * 16 + low).unwrap_or_default();
            let is_text = decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded);
            if is_text || decoded < 0x20 || decoded == 0x7f || b"%\\;#".contains(&decoded) {
                return false;
            }
        } else if !is_text && !b"/@+!$&'()*,:=".contains(&byte) {
            return false;
        }
    }
    let Some(below) = path.strip_prefix(b"/") else { return false };
    // Endpoints that end in a slash: two of the image registry, and some of package registries.
    let ends = [&b"/v2/"[..], b"/blobs/uploads/", b"/packages/nuget/", b"/symbolpackage/", b"/simple/"];
    let ends_in_slash = ends.iter().any(|end| path.ends_with(end))
        || (path.ends_with(b"/") && path.windows(8).any(|part| part == b"/simple/"));
    let below = if ends_in_slash { &below[..below.len() - 1] } else { below };
    let is_sound = |path: &[u8]| path.split(|b| *b == b'/').all(|segment| !matches!(segment, b"" | b"." | b".."));
    is_sound(below) && is_sound(&percent_decoded(below))
}

/// Undoes percent-encoding once, where it is sound.
pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        let digit = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// Whether anything in the head could be a job token, to anybody.
fn may_be_a_jobs(message: &Message) -> bool {
    let query = percent_decoded(message.target().1.unwrap_or_default());
    let is_marked = |text: &[u8]| has(text, b"glcbt") || has(text, b"eyJ");
    // Of several fields some servers make one.
    let joined = message.all("authorization").collect::<Vec<_>>().join(&b", "[..]);
    has(&query, b"token")
        || is_other_login(&joined)
        || is_marked(&query)
        || is_wrapped(&query)
        || message.fields.iter().any(|(name, value)| {
            let is_named = matches!(name.as_slice(), b"job-token" | b"job_token") && !value.is_empty();
            let is_login = has(value, b"basic") && !is_a_persons(value);
            let is_credential = name.to_ascii_lowercase().ends_with(b"authorization");
            // For the Kubernetes agent's server, whatever stands behind that.
            let is_agents = has(value, b"bearer") && has(value, b"ci:");
            let is_user = has(value, b"gitlab-ci-token");
            let is_read = is_login || is_agents || is_user || is_dotted(value) || is_other_login(value);
            is_named || is_marked(value) || (is_credential && is_read)
        })
}

/// Whether a field is the plain login of somebody who is no job.
fn is_a_persons(value: &[u8]) -> bool {
    let login = value.strip_prefix(b"Basic ").and_then(|login| STANDARD.decode(login).ok());
    let marks = [&b"gitlab-ci-token"[..], b"glcbt", b"eyJ"];
    login.is_some_and(|login| !is_dotted(&login) && !marks.iter().any(|mark| has(&login, mark)))
}

/// Whether a login of a job stands behind the first blank, whatever stands before it: some readers of Basic do not look.
fn is_other_login(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let blank = value.iter().position(|b| *b <= b' ').unwrap_or(value.len());
    is_found(&value[blank..], |login| has(login, b"gitlab-ci-token") || has(login, b"glcbt") || is_wrapped(login))
}

/// Whether a job token stands in what may be the claims of a JWT, whatever stands before them.
fn is_wrapped(text: &[u8]) -> bool {
    is_dotted(text) && text.split(|b| *b == b'.').skip(1).any(|claims| is_found(claims, |text| has(text, b"glcbt")))
}

/// Base64 of which the last letters need not fill a group, and say what they say.
const LETTERS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Whether this holds of what some reader of base64 finds in a text, who passes over bytes that are no letters of it.
fn is_found(text: &[u8], holds: impl Fn(&[u8]) -> bool) -> bool {
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mapped = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        _ => *b,
    };
    let plain: Vec<u8> = text.iter().copied().filter(is_letter).collect();
    let of_urls: Vec<u8> = text.iter().map(mapped).filter(is_letter).collect();
    [plain, of_urls].iter().any(|letters| {
        // One letter alone says nothing.
        let whole = letters.len() - usize::from(letters.len() % 4 == 1);
        holds(&LETTERS.decode(&letters[..whole]).expect("letters alone"))
    })
}

/// Whether it may be a JWT: bytes that its readers pass over hide its beginning, and not its parts.
fn is_dotted(text: &[u8]) -> bool {
    text.iter().filter(|b| **b == b'.').count() >= 2
}

/// Whether a body could hold a job token, or hide one behind an escape.
fn may_hold_token(body: &[u8]) -> bool {
    has(body, b"token") || has(body, b"glcbt") || has(body, b"eyJ") || body.contains(&b'%') || body.contains(&b'\\')
}

/// Whether a job token stands where every forge finds it.
fn is_plainly_a_jobs(message: &Message) -> bool {
    let is_token = |text: &[u8]| {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        text.strip_prefix(b"glcbt-").is_some_and(|rest| !rest.is_empty() && rest.iter().all(is_word))
    };
    let is_login = |value: &[u8]| {
        let login = value.strip_prefix(b"Basic ").and_then(|login| STANDARD.decode(login).ok());
        login.is_some_and(|login| login.starts_with(b"gitlab-ci-token:"))
            || value.strip_prefix(b"Bearer ").is_some_and(is_token)
    };
    let is_parameter = |pair: &[u8]| {
        let names = [&b"job_token="[..], b"token=", b"access_token="];
        names.iter().any(|name| pair.strip_prefix(*name).is_some_and(is_token))
    };
    message.all("job-token").any(|token| !token.is_empty())
        || message.all("private-token").any(is_token)
        || message.all("authorization").any(is_login)
        || message.target().1.unwrap_or_default().split(|b| *b == b'&').any(is_parameter)
        || (is_form_of_the_forge(message)
            && message.body.as_deref().unwrap_or_default().split(|b| *b == b'&').any(is_parameter))
}

/// Whether the forge looks for a credential in a request's form: nothing in the head comes before it.
fn is_form_of_the_forge(message: &Message) -> bool {
    let is_the_forges = message.first(":authority") == b"gitlab.example.com"
        && message.first(":path").starts_with(b"/api/v4/projects/5/")
        && message.first(":method") == b"POST";
    let heads = ["authorization", "private-token", "deploy-token", "x-nuget-apikey", "content-length"];
    let query = message.target().1.unwrap_or_default();
    is_the_forges
        && !has(query, b"private_token")
        && !has(query, b"access_token")
        && message.first("content-type") == b"application/x-www-form-urlencoded"
        && heads.iter().all(|name| message.all(name).next().is_none())
}
