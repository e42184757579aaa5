//! What every virtio device does under a hostile driver, on every transport.
//!
//! A rule is a function generic over device and transport; [`every`] runs it
//! on all of them. A new transport or device is one line there.

mod lifecycle;
mod queues;
mod races;
mod registers;
mod rings;
mod subject;

use subject::{
    BalloonSubject, BlkSubject, ConsoleSubject, FsSubject, KernelSubject, NetSubject, PairsSubject,
    RngSubject, ThreadedBlkSubject, VsockSubject,
};

/// Makes a test of each rule, on every device and transport, PCI with its pin
/// and with MSI-X.
macro_rules! every {
    ($($module:ident::$rule:ident),* $(,)?) => {$(
        #[test]
        fn $rule() {
            use devices::virtio::testing::{MmioRegisters, PciRegisters};
            $module::$rule::<BlkSubject, MmioRegisters>();
            $module::$rule::<BlkSubject, PciRegisters<false>>();
            $module::$rule::<BlkSubject, PciRegisters<true>>();
            $module::$rule::<ThreadedBlkSubject, MmioRegisters>();
            $module::$rule::<ThreadedBlkSubject, PciRegisters<true>>();
            $module::$rule::<NetSubject, MmioRegisters>();
            $module::$rule::<NetSubject, PciRegisters<false>>();
            $module::$rule::<NetSubject, PciRegisters<true>>();
            $module::$rule::<ConsoleSubject, MmioRegisters>();
            $module::$rule::<ConsoleSubject, PciRegisters<true>>();
            $module::$rule::<RngSubject, MmioRegisters>();
            $module::$rule::<RngSubject, PciRegisters<true>>();
            $module::$rule::<VsockSubject, MmioRegisters>();
            $module::$rule::<VsockSubject, PciRegisters<true>>();
            $module::$rule::<PairsSubject, MmioRegisters>();
            $module::$rule::<PairsSubject, PciRegisters<true>>();
            $module::$rule::<FsSubject<false>, MmioRegisters>();
            $module::$rule::<FsSubject<true>, PciRegisters<true>>();
            $module::$rule::<KernelSubject, MmioRegisters>();
            $module::$rule::<KernelSubject, PciRegisters<true>>();
            $module::$rule::<BalloonSubject, MmioRegisters>();
            $module::$rule::<BalloonSubject, PciRegisters<true>>();
        }
    )*};
}

every! {
    lifecycle::a_device_may_be_stopped_at_any_time_and_twice,
    lifecycle::unoffered_features_are_refused,
    lifecycle::every_subset_of_features_works,
    lifecycle::a_device_without_queues_does_nothing,
    lifecycle::kicks_out_of_time_are_ignored,
    lifecycle::a_reset_leaves_memory_alone,
    registers::queues_are_frozen_while_live,
    registers::no_access_is_too_odd,
    registers::any_writes_leave_a_usable_device,
    registers::the_configuration_reads_as_zero_past_its_end,
    queues::a_queue_is_reset_and_works_again,
    queues::the_reset_of_a_queue_leaves_the_others_alone,
    queues::a_queue_is_silent_after_its_reset,
    queues::queues_are_reset_only_if_that_was_agreed_on,
    queues::doorbells_hang_while_queues_run,
    queues::a_refused_doorbell_is_heard_all_the_same,
    rings::each_broken_rule_needs_a_reset,
    rings::a_broken_device_stays_broken_until_reset,
    rings::a_broken_device_does_not_stop_others,
    rings::garbage_rings_are_survived,
    races::a_reset_ends_what_the_loop_does,
    races::a_driver_may_rewrite_everything_at_any_time,
    races::no_notification_is_lost,
}
