//! Where the database of a Gitea or a Forgejo is, and what its tokens are read with.

use std::net::IpAddr;

use policy::bindings::Inquiry;
use policy::facts::Hash;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::{Reader, Surroundings, filter_document, secret, tls};
use crate::forge::calls::Manner;
use crate::forge::gitea::{self, Settings};

const DATABASE: &str = "forge.database";
const JWT_SECRET: &str = "forge.jwt_secret_env";

pub(super) fn read(reader: &mut Reader, around: &Surroundings<'_>, manner: Manner) -> Option<Settings> {
    let text = reader.text(DATABASE);
    let mut database = text.as_ref().and_then(|text| database(reader, text));
    let password = reader.text("forge.password_env");
    let password = password.map(|name| secret(reader, around, "forge.password_env", &name, 1));
    if let (Some(database), Some(Some(password))) = (&mut database, &password) {
        database.password(password.expose());
    }
    let jwt_secret = reader.text(JWT_SECRET).map(|name| {
        let text = secret(reader, around, JWT_SECRET, &name, 1)?;
        let read = gitea::jwt_secret(&text);
        if read.is_none() {
            reader.error(JWT_SECRET, "expected 32 bytes in base64url, as the forge writes `JWT_SECRET`, found others");
        }
        read
    });
    let is_plain = database.as_ref().is_none_or(|database| database.get_ssl_mode() == SslMode::Disable);
    let tls = tls::client(reader, around, is_plain);
    let jwt_secret = match jwt_secret {
        Some(read) => Some(read?),
        None => None,
    };
    // What is stored of one database is not found for another.
    let Hash(hash) = Hash::of(&[b"gitea", text?.as_bytes()]);
    let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let document = filter_document(&format!("{name}.gitea").parse().ok()?, "", &[], false);
    let inquiry = policy::Config::parse(document.to_string().as_bytes()).ok().map(|config| Inquiry::of(&config))?;
    Some(Settings { database: database?, tls: tls?, jwt_secret, manner, inquiry })
}

/// Nobody on the way may answer in the database's place, or hear what it says.
fn database(reader: &mut Reader, text: &str) -> Option<Config> {
    let read = text.parse::<Config>().ok().filter(|config| {
        config.get_password().is_none() && config.get_options().is_none() && config.get_hosts().len() == 1
    });
    let Some(mut config) = read else {
        let why = "expected one `host`, a `dbname` and a `user` in libpq's words, `host=db.example.com dbname=gitea \
                   user=jobscope`, without a password and without `options`, found another text";
        reader.error(DATABASE, why);
        return None;
    };
    let is_here = config.get_hostaddrs().iter().all(IpAddr::is_loopback)
        && config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        });
    config.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
    Some(config)
}
