//! The database of a forge, read through views, by a role that sees nothing else.
//!
//! One connection for all: what is asked goes out at once, and answers come in turn. Where one does not come, or is an error, the
//! connection is given up, and the next question makes a new one.

use std::sync::Arc;
use std::time::Duration;

use policy::facts::MOST_HOLDERS;
use policy::failure::Failure;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::forge::budget::Budget;
use crate::forge::calls::Manner;
use crate::journal::Journal;
use crate::metrics::Metrics;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// Tasks whose tokens end so.
    TasksOfToken,
    /// A task by its number.
    Task,
    /// Access tokens that end so.
    AccessTokens,
    /// What becomes of tasks.
    Statuses,
    /// A repository by its number.
    Repository,
    /// The repositories of an owner, as far as they are looked at.
    RepositoriesOfOwner,
    /// What the repository of a number is to a user.
    StandingOfId,
    /// What the repository of an owner and a name is to a user.
    StandingOfPath,
}

/// The most tokens that may end alike; of random ones hardly ever two do.
pub(super) const MOST_ALIKE: usize = 32;

const TASK: &str = "SELECT id, status, repository_id, token_hash, token_salt, is_fork, ref, trigger_event, owner, name, \
                    user_id, user_name, is_active, is_blocked FROM jobscope.task";

const REPOSITORY: &str = "SELECT r.id, r.owner_id, r.owner, r.name, r.is_private, r.owner_visibility, r.is_archived, r.units, \
                          r.actions, r.owner_actions";

/// What else a user is told of a repository: what each way of letting somebody in says.
const STANDING: &str = ", a.mode AS access, c.mode AS collaboration, t.mode AS team, t.code AS team_code, p.is_restricted \
     FROM jobscope.repository r \
     LEFT JOIN jobscope.access a ON a.repository_id = r.id AND a.user_id = $1 \
     LEFT JOIN jobscope.collaboration c ON c.repository_id = r.id AND c.user_id = $1 \
     LEFT JOIN LATERAL (SELECT max(mode) AS mode, max(code) AS code FROM jobscope.team \
         WHERE team.repository_id = r.id AND team.user_id = $1) t ON true \
     LEFT JOIN jobscope.person p ON p.id = $1";

impl Query {
    const ALL: [Self; 8] = [
        Self::TasksOfToken,
        Self::Task,
        Self::AccessTokens,
        Self::Statuses,
        Self::Repository,
        Self::RepositoriesOfOwner,
        Self::StandingOfId,
        Self::StandingOfPath,
    ];

    fn sql(self) -> String {
        let alike = format!("WHERE token_last_eight = $1 LIMIT {}", MOST_ALIKE + 1);
        match self {
            Self::TasksOfToken => format!("{TASK} {alike}"),
            Self::Task => format!("{TASK} WHERE id = $1"),
            Self::AccessTokens => format!("SELECT token_hash, token_salt FROM jobscope.access_token {alike}"),
            Self::Statuses => "SELECT id, status FROM jobscope.task WHERE id = ANY($1)".into(),
            Self::Repository => format!("{REPOSITORY} FROM jobscope.repository r WHERE r.id = $1"),
            Self::RepositoriesOfOwner => {
                format!("SELECT id FROM jobscope.repository WHERE owner = $1 ORDER BY id LIMIT {}", MOST_HOLDERS + 1)
            }
            Self::StandingOfId => format!("{REPOSITORY}{STANDING} WHERE r.id = $2"),
            Self::StandingOfPath => format!("{REPOSITORY}{STANDING} WHERE r.owner = $2 AND r.name = $3"),
        }
    }
}

/// The database.
pub(super) struct Database {
    config: Config,
    tls: MakeRustlsConnect,
    budget: Budget,
    manner: Manner,
    session: Mutex<Option<Arc<Session>>>,
    metrics: Metrics,
    journal: Journal,
}

/// A connection with what is asked on it.
struct Session {
    client: Client,
    statements: Vec<(Query, Statement)>,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // What is still awaited on it is awaited by nobody.
        self.driver.abort();
    }
}

/// Why nothing was told.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it does not answer in time")]
    Silent,
    #[error("it is a standby, which may lag: `forge.database` has to lead to the primary")]
    Standby,
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
}

impl Refusal {
    /// As the filter's log has it. A database that says no says that nobody is anything.
    fn failure(&self) -> Failure {
        let Self::Postgres(error) = self else {
            return if matches!(self, Self::Silent) { Failure::LookupTimeout } else { Failure::LookupUnreachable };
        };
        let Some(state) = error.code() else { return Failure::LookupUnreachable };
        match state.code() {
            "57014" => Failure::LookupTimeout,
            "42501" => Failure::LookupRights,
            code => match code.get(..2) {
                Some("28") => Failure::LookupRights,
                Some("08" | "53" | "57") => Failure::LookupUnreachable,
                _ => Failure::LookupAnswer,
            },
        }
    }
}

impl Database {
    /// The database at an address; nothing is asked of it yet.
    pub(super) fn new(config: Config, tls: rustls::ClientConfig, manner: Manner, metrics: Metrics) -> Self {
        let budget = Budget::new(manner.max_per_second);
        let (session, journal) = (Mutex::default(), Journal::default());
        Self { config, tls: MakeRustlsConnect::new(tls), budget, manner, session, metrics, journal }
    }

    /// What it answers, within the budget, and asked again where it was not reached.
    pub(super) async fn rows(&self, query: Query, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let mut attempts = 0..=self.manner.retries;
        loop {
            attempts.next();
            self.budget.take().await;
            let refusal = match self.ask(query, values).await {
                Ok(rows) => {
                    self.metrics.called(Some(200));
                    return Ok(rows);
                }
                Err(refusal) => refusal,
            };
            *self.session.lock().await = None;
            if self.journal.may_note() {
                tracing::warn!(why = %refusal, "the forge's database did not answer");
            }
            let failure = refusal.failure();
            let is_reached = failure != Failure::LookupUnreachable;
            self.metrics.called(is_reached.then_some(500));
            if is_reached || attempts.is_empty() {
                return Err(failure);
            }
            sleep(self.manner.timeout / 20).await;
        }
    }

    async fn ask(&self, query: Query, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Refusal> {
        let session = self.session().await?;
        let Some((_, statement)) = session.statements.iter().find(|(known, _)| *known == query) else {
            return Err(Refusal::Silent);
        };
        let rows = timeout(self.patience(), session.client.query(statement, values)).await;
        Ok(rows.map_err(|_| Refusal::Silent)??)
    }

    async fn session(&self) -> Result<Arc<Session>, Refusal> {
        let mut known = self.session.lock().await;
        if let Some(session) = known.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let session = timeout(self.patience(), self.connect()).await.map_err(|_| Refusal::Silent)??;
        Ok(Arc::clone(known.insert(Arc::new(session))))
    }

    async fn connect(&self) -> Result<Session, Refusal> {
        let mut config = self.config.clone();
        let most = self.patience().as_millis();
        config.application_name("jobscope-lookup").connect_timeout(self.patience());
        config.options(format!(
            "-c statement_timeout={most} -c default_transaction_read_only=on -c search_path=pg_catalog"
        ));
        let (client, connection) = config.connect(self.tls.clone()).await?;
        // What is wrong with it is told to who asks on it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut session = Session { client, statements: Vec::new(), driver };
        // What a standby has not heard of yet is no end, and nobody's token.
        if session.client.query_one("SELECT pg_is_in_recovery()", &[]).await?.try_get(0)? {
            return Err(Refusal::Standby);
        }
        for query in Query::ALL {
            let statement = session.client.prepare(&query.sql()).await?;
            session.statements.push((query, statement));
        }
        Ok(session)
    }

    /// How long one answer may take: there is time for another connection then.
    fn patience(&self) -> Duration {
        self.manner.timeout / 2
    }
}
