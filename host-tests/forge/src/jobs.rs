//! The jobs, and how they move from pending to their end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use world::{Artifacts, FirstJob, Image, JobStatus, Project, World};

/// A job.
#[derive(Clone)]
pub struct Job {
    pub id: u64,
    pub project: u64,
    pub user: Option<u64>,
    pub reference: String,
    pub name: String,
    pub stage: String,
    /// The slug of the environment it deploys to.
    pub environment: Option<String>,
    /// What started its pipeline.
    pub source: String,
    /// Which runner got it.
    pub runner: Option<u64>,
    pub status: JobStatus,
    /// Jobs the world only knows by their artifacts have none.
    pub token: Option<String>,
    /// The jobs with whose artifacts it begins.
    pub needs: Vec<u64>,
    pub image: Image,
    pub services: Vec<Image>,
    /// Beside those that every job has.
    pub variables: BTreeMap<String, String>,
    pub created: SystemTime,
    pub started: Option<SystemTime>,
    pub finished: Option<SystemTime>,
}

impl Job {
    /// The pipeline of the job: each has its own.
    pub fn pipeline(&self) -> u64 {
        self.id.saturating_add(40_000)
    }

    /// Moves the job.
    pub fn become_status(&mut self, status: JobStatus) {
        let now = SystemTime::now();
        self.status = status;
        if status.executing() && self.started.is_none() {
            self.started = Some(now);
        }
        self.finished = status.finished().then_some(now);
    }
}

/// All jobs.
pub struct Jobs {
    all: Vec<Job>,
}

impl Jobs {
    /// The jobs a world begins with, and those that left artifacts in it.
    pub fn of(world: &World) -> Self {
        let first = world.jobs.iter().map(first);
        let left = world
            .projects
            .iter()
            .flat_map(|project| project.artifacts.iter().map(|artifacts| finished(project, artifacts)));
        Self { all: first.chain(left).collect() }
    }

    /// The job with this id.
    pub fn find(&self, id: u64) -> Option<&Job> {
        self.all.iter().find(|job| job.id == id)
    }

    /// The job with this id, to move it.
    pub fn find_mut(&mut self, id: u64) -> Option<&mut Job> {
        self.all.iter_mut().find(|job| job.id == id)
    }

    /// The job with this token, whatever its state.
    pub fn with_token(&self, token: &str) -> Option<&Job> {
        self.all.iter().find(|job| job.token.as_deref() == Some(token))
    }

    /// The first job that waits for a runner; it runs from now on.
    pub fn take_pending(&mut self) -> Option<Job> {
        let job = self.all.iter_mut().find(|job| job.status == JobStatus::Pending)?;
        job.become_status(JobStatus::Running);
        Some(job.clone())
    }

    /// Adds a job with a new id and gives the id.
    pub fn add(&mut self, mut job: Job) -> u64 {
        let highest = self.all.iter().map(|job| job.id).max().unwrap_or(1000);
        job.id = highest.saturating_add(1);
        let id = job.id;
        self.all.push(job);
        id
    }
}

fn first(job: &FirstJob) -> Job {
    let now = SystemTime::now();
    Job {
        id: job.id,
        project: job.project,
        user: job.user,
        reference: job.reference.clone(),
        name: job.name.clone(),
        stage: job.stage.clone(),
        environment: job.environment.clone(),
        source: job.source.clone(),
        runner: job.runner,
        status: job.status,
        token: job.token.clone(),
        needs: job.needs.clone(),
        image: job.image.clone(),
        services: job.services.clone(),
        variables: BTreeMap::new(),
        created: now,
        started: (job.status.executing() || job.status.finished()).then_some(now),
        finished: job.status.finished().then_some(now),
    }
}

fn finished(project: &Arc<Project>, artifacts: &Artifacts) -> Job {
    let now = SystemTime::now();
    Job {
        id: artifacts.job,
        project: project.id,
        user: None,
        reference: artifacts.reference.clone(),
        name: artifacts.name.clone(),
        stage: "build".to_owned(),
        environment: None,
        source: "push".to_owned(),
        runner: None,
        status: JobStatus::Success,
        token: None,
        needs: Vec::new(),
        image: Image::default(),
        services: Vec::new(),
        variables: BTreeMap::new(),
        created: now,
        started: Some(now),
        finished: Some(now),
    }
}
