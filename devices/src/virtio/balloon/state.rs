use std::sync::Arc;

use event_manager::{EventOps, Events, MutEventSubscriber};
use virtio_queue::Queue;
use vmm_sys_util::eventfd::EventFd;

use super::config::Config;
use super::live::{Live, Role};
use super::stats::Stats;
use crate::virtio::doorbells;

/// The half of the balloon that the event loop drives.
pub(super) struct State {
    doorbells: Arc<[EventFd]>,
    config: Arc<Config>,
    /// What there is while the driver is live.
    live: Option<Live>,
    /// What the driver said last.
    pub(super) stats: Stats,
    /// Whether the next statistics are to be in the log.
    is_asked: bool,
    has_warned: bool,
}

impl State {
    pub(super) fn new(doorbells: Arc<[EventFd]>, config: Arc<Config>) -> Self {
        let (stats, is_asked, has_warned) = (Stats::default(), false, false);
        Self { doorbells, config, live: None, stats, is_asked, has_warned }
    }

    pub(super) fn start(&mut self, live: Live) {
        self.live = Some(live);
        // Kicks from before the start may have been drained: look once.
        for index in 0..self.doorbells.len() {
            self.knock(index);
        }
    }

    /// Forgets the driver; returns its queues.
    pub(super) fn stop(&mut self) -> Vec<Queue> {
        self.config.reset();
        self.stats = Stats::default();
        let lanes = self.live.take().map(|live| live.lanes).unwrap_or_default();
        let rewound = lanes.into_iter().map(|mut lane| {
            lane.rewind();
            lane.ring.into_queue()
        });
        rewound.collect()
    }

    pub(super) fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        let lane = &mut self.live.as_mut()?.lanes[index];
        lane.rewind();
        Some(lane.ring.take_queue())
    }

    pub(super) fn start_queue(&mut self, index: usize, queue: Queue) {
        if let Some(live) = &mut self.live {
            live.lanes[index].ring.replace_queue(queue);
            // A kick from before may have been drained: look once.
            self.knock(index);
        }
    }

    /// Tells the driver how many bytes are to be in the balloon.
    pub(super) fn set_target(&mut self, bytes: u64) {
        match &self.live {
            Some(live) => {
                let interrupt = live.lanes[0].ring.interrupt();
                interrupt.config_changed(|| self.config.set_target(bytes));
            }
            None => self.config.set_target(bytes),
        }
    }

    /// Asks the driver for statistics, for the log too.
    pub(super) fn ask_for_stats(&mut self) {
        self.is_asked = true;
        if let Some(lane) = self.live.as_mut().and_then(Live::stats_lane) {
            lane.ask_for_stats();
        }
    }

    /// Rings a doorbell of the device's own, to come back to that queue.
    fn knock(&self, index: usize) {
        doorbells::ring(&self.doorbells, index);
    }

    fn serve(&mut self, index: usize) {
        let Some(live) = &mut self.live else { return };
        // What is given back reads as zeros.
        let must_keep = live.tells_poison && self.config.poison() != 0;
        let lane = &mut live.lanes[index];
        let mut stats = None;
        let is_more = match lane.role {
            Role::Inflate => lane.inflate(&mut self.has_warned),
            Role::Report if !must_keep => lane.take_report(&mut self.has_warned),
            Role::Report | Role::Deflate => lane.wave_through(),
            Role::Stats => lane.take_stats(&mut stats),
            Role::Unused => false,
        };
        if is_more {
            self.knock(index);
        }
        if let Some(stats) = stats {
            self.stats = stats;
            if std::mem::take(&mut self.is_asked) {
                log::info!(
                    "the balloon holds {} MiB; the guest has {stats}",
                    self.config.actual() >> 20
                );
            }
        }
    }
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        doorbells::listen(&self.doorbells, ops);
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let index = usize::try_from(events.data()).expect("a small number");
        doorbells::silence(&self.doorbells, index);
        self.serve(index);
    }
}
