//! Shared queues. A name belongs to whoever registered it last.

use std::collections::VecDeque;

use super::hostcall::Status;

#[derive(Debug)]
struct Queue {
    name: Vec<u8>,
    values: VecDeque<Vec<u8>>,
    vm: usize,
    root: u32,
}

/// Somebody must be told that a queue has something.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueReady {
    pub(super) vm: usize,
    pub(super) root: u32,
    pub(super) token: u32,
}

#[derive(Debug, Default)]
pub(super) struct Queues(Vec<Queue>);

impl Queues {
    fn find(&mut self, token: u32) -> Result<&mut Queue, Status> {
        let index = (token as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.0.get_mut(index).ok_or(Status::NotFound)
    }

    pub(super) fn register(&mut self, name: &[u8], vm: usize, root: u32) -> u32 {
        if let Ok(token) = self.resolve(name)
            && let Ok(queue) = self.find(token)
        {
            (queue.vm, queue.root) = (vm, root);
            return token;
        }
        self.0.push(Queue { name: name.to_vec(), values: VecDeque::new(), vm, root });
        self.0.len() as u32
    }

    pub(super) fn resolve(&self, name: &[u8]) -> Result<u32, Status> {
        let index = self.0.iter().position(|queue| queue.name == name).ok_or(Status::NotFound)?;
        Ok(index as u32 + 1)
    }

    pub(super) fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        self.find(token)?.values.pop_front().ok_or(Status::Empty)
    }

    pub(super) fn enqueue(&mut self, token: u32, value: Vec<u8>) -> Result<QueueReady, Status> {
        let queue = self.find(token)?;
        queue.values.push_back(value);
        Ok(QueueReady { vm: queue.vm, root: queue.root, token })
    }
}
