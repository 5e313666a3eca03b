//! Credentials that the forge made: who pushes out whom.

use super::*;
use crate::bindings;

/// What was minted for a job, or for somebody else, and is good for so long.
pub(super) fn minted(number: u64, job: Option<u64>, until: u64) -> Minted {
    Minted { key: key(number), parent: job.map(key), until: Moment(until), forgotten: Forgotten::Challenged }
}

pub(super) fn lasting(number: u64, job: u64, until: u64) -> Minted {
    Minted { forgotten: Forgotten::Persons, ..minted(number, Some(job), until) }
}

fn put_all(rows: impl IntoIterator<Item = Minted>) -> Vec<u8> {
    rows.into_iter().fold(Vec::new(), |bucket, row| put(&bucket, row).unwrap_or(bucket))
}

/// Which of these are there.
fn there(bucket: &[u8], numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    numbers.into_iter().filter(|number| find::<Minted>(bucket, &key(*number)).is_some()).collect()
}

#[test]
fn of_what_was_minted_the_shortest_lived_goes_first() {
    let row = |number: u64, until| minted(number, Some(1_000 + number), until);
    assert_eq!(find::<Minted>(&put(&[], row(1, 5)).unwrap(), &key(1)), Some(row(1, 5)));
    let bucket = put_all((1..=16).map(|number| row(number, 100 + number)));
    let bucket = put(&bucket, row(17, 300)).unwrap();
    assert_eq!(bucket.len(), BUCKET_ROWS * Minted::SIZE);
    assert_eq!(there(&bucket, 1..=17), (2..=17).collect::<Vec<_>>());
    assert!(put(&bucket, row(18, 1)).is_none(), "what is over pushes nothing out");
}

#[test]
fn a_job_that_has_very_many_made_pushes_out_none_but_its_own() {
    let others = (1..=6).map(|number| minted(number, Some(100 + number), 1_000));
    let people = (7..=12).map(|number| minted(number, None, 1_000));
    let of_one = (20..9_000).map(|number| minted(number, Some(200), 2_000 + number));
    let bucket = put_all(others.chain(people).chain(of_one));
    assert_eq!(there(&bucket, 1..=12), (1..=12).collect::<Vec<_>>());
    assert_eq!(there(&bucket, 20..9_000), [8_996, 8_997, 8_998, 8_999], "its own oldest goes");
}

#[test]
fn jobs_and_people_push_each_other_out_of_no_more_than_the_others_half() {
    let jobs = |from: u64| (from..from + 500).map(|number| minted(number, Some(number), 5_000 + number));
    let people = |from: u64| (from..from + 500).map(|number| minted(number, None, 1_000 + number));
    for rows in [jobs(0).chain(people(1_000)).collect::<Vec<_>>(), people(1_000).chain(jobs(0)).collect()] {
        let bucket = put_all(rows);
        assert_eq!([0..500, 1_000..1_500].map(|numbers| there(&bucket, numbers).len()), [8, 8]);
    }
    // Whom nobody else needs the room of has all of it, and what is over makes room for anybody.
    assert_eq!(there(&put_all(people(0)), 0..500).len(), 16);
    let over = put_all((0..16).map(|number| minted(number, Some(number), 200)));
    let later = bindings::put(&over, minted(20, None, 900), &config(), Moment(500)).unwrap();
    assert!(bindings::find::<Minted>(&later, &key(20), Moment(500)).is_some());
}

#[test]
fn what_would_be_a_persons_is_not_forgotten_while_the_forge_takes_it() {
    let first = lasting(1, 7, 1_000);
    let flood = |of: fn(u64) -> u64| (10..3_000).map(move |number| lasting(number, of(number), 1_000 + number));
    for of in [|_| 7, |number| number % 9, |number| number] {
        let mixed = flood(of).flat_map(|row| [row.clone(), minted(row.key.0.len() as u64 + 9_000, Some(7), 99_999)]);
        let people = (5_000..5_100).map(|number| minted(number, None, 99_999));
        let bucket = put_all([first.clone()].into_iter().chain(mixed).chain(people));
        let held = find::<Minted>(&bucket, &key(1));
        assert_eq!(held, Some(first.clone()));
        assert!(there(&bucket, 5_000..5_100).len() >= 8, "there is room for others beside it");
    }
    // A batch too many is not recorded, so that it can be refused.
    let bucket = put_all((1..=4).map(|number| lasting(number, 7, 1_000)));
    assert_eq!(put(&bucket, lasting(5, 7, 2_000)), None);
    assert!(bindings::put(&bucket, lasting(5, 7, 9_000), &config(), Moment(1_000)).is_some(), "the old ones are over");
    // Seen again, it stays what it is.
    let again = put(&bucket, minted(1, None, 3_000)).unwrap();
    assert_eq!(find::<Minted>(&again, &key(1)), Some(lasting(1, 7, 3_000)));
}
