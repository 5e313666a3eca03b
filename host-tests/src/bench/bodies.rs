//! A body of 1 GiB, up and down.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::figure::{Figures, Measure};
use super::load::PATIENCE;
use super::peer::Peer;
use super::stage::Services;
use super::upstream::{GIB, LARGE};
use super::work::PACKAGE;
use super::{Plan, number};
use crate::traffic::Lookups;

pub(super) const UP: &str = "1 GiB up";
pub(super) const DOWN: &str = "1 GiB down";

const PEERS: [Peer; 3] = [Peer::None, Peer::Copy, Peer::Jobscope];

const PIECE: usize = 64 << 10;

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let envoys = services.envoys(&PEERS)?;
    for round in 0..=plan.rounds {
        for (what, exchange) in [(UP, up as fn(u16) -> Result<()>), (DOWN, down)] {
            for (peer, envoy) in &envoys {
                say(&format!("bodies: {what}, {}", peer.title()));
                let (before, begin) = (envoy.cpu()?, Instant::now());
                exchange(envoy.port())?;
                // The first time the sockets' buffers grow.
                if round > 0 {
                    figures.add(Measure::Throughput, what, *peer, number(1 << 10) / begin.elapsed().as_secs_f64());
                    figures.add(Measure::BodyCpu, what, *peer, (envoy.cpu()? - before).as_secs_f64());
                }
            }
        }
    }
    Ok(())
}

fn connect(port: u16, method: &str, path: &str, length: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let token = Lookups::running(1);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\njob-token: {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

fn up(port: u16) -> Result<()> {
    let mut stream = connect(port, "PUT", PACKAGE, GIB)?;
    let piece = vec![0; PIECE];
    for _ in 0..GIB / PIECE {
        stream.write_all(&piece)?;
    }
    let mut answer = vec![0; PIECE];
    let length = stream.read(&mut answer)?;
    let head = String::from_utf8_lossy(answer.get(..length).unwrap_or_default());
    ensure!(head.starts_with("HTTP/1.1 200"), "the upload was answered {head}");
    Ok(())
}

fn down(port: u16) -> Result<()> {
    let (folder, _) = PACKAGE.rsplit_once('/').context("a package has a folder")?;
    let mut stream = connect(port, "GET", &format!("{folder}{LARGE}"), 0)?;
    let mut piece = vec![0; PIECE];
    let mut received = 0;
    // The head comes on top.
    while received <= GIB {
        let length = stream.read(&mut piece)?;
        ensure!(length > 0, "the download ended after {received} bytes");
        received += length;
    }
    Ok(())
}
