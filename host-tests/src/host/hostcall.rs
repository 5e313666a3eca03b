//! The names of the calls a filter can make, and the statuses they return.

use std::fmt;

/// What a hostcall returns, with the numbers of ABI 0.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the ABI's own names")]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    BadExpression = 5,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    ResultMismatch = 9,
    InternalFailure = 10,
    BrokenConnection = 11,
    Unimplemented = 12,
}

macro_rules! hostcalls {
    ($($variant:ident $name:literal,)*) => {
        /// One function of the host, for counting and for faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is named after its import")]
        pub enum Hostcall {
            $($variant,)*
        }

        impl Hostcall {
            /// Every call, in the order of this table.
            pub const ALL: &'static [Hostcall] = &[$(Hostcall::$variant,)*];

            /// The import's name, `proxy_log` for one.
            pub fn name(self) -> &'static str {
                match self {
                    $(Hostcall::$variant => $name,)*
                }
            }
        }
    };
}

hostcalls! {
    Log "proxy_log",
    GetCurrentTime "proxy_get_current_time_nanoseconds",
    SetTickPeriod "proxy_set_tick_period_milliseconds",
    GetProperty "proxy_get_property",
    SetProperty "proxy_set_property",
    SetEffectiveContext "proxy_set_effective_context",
    Done "proxy_done",
    GetStatus "proxy_get_status",
    CallForeignFunction "proxy_call_foreign_function",
    GetBuffer "proxy_get_buffer_bytes",
    SetBuffer "proxy_set_buffer_bytes",
    GetMap "proxy_get_header_map_pairs",
    SetMap "proxy_set_header_map_pairs",
    GetMapValue "proxy_get_header_map_value",
    AddMapValue "proxy_add_header_map_value",
    ReplaceMapValue "proxy_replace_header_map_value",
    RemoveMapValue "proxy_remove_header_map_value",
    GetSharedData "proxy_get_shared_data",
    SetSharedData "proxy_set_shared_data",
    RegisterSharedQueue "proxy_register_shared_queue",
    ResolveSharedQueue "proxy_resolve_shared_queue",
    DequeueSharedQueue "proxy_dequeue_shared_queue",
    EnqueueSharedQueue "proxy_enqueue_shared_queue",
    DefineMetric "proxy_define_metric",
    IncrementMetric "proxy_increment_metric",
    RecordMetric "proxy_record_metric",
    ContinueStream "proxy_continue_stream",
    CloseStream "proxy_close_stream",
    SendLocalResponse "proxy_send_local_response",
    HttpCall "proxy_http_call",
    GrpcCall "proxy_grpc_call",
    GrpcStream "proxy_grpc_stream",
    GrpcSend "proxy_grpc_send",
    GrpcCancel "proxy_grpc_cancel",
    GrpcClose "proxy_grpc_close",
    // Not an import: the host asking the filter for memory, which is how every
    // call that returns bytes can fail.
    MemoryAllocate "proxy_on_memory_allocate",
    FdWrite "fd_write",
    FdRead "fd_read",
    FdSeek "fd_seek",
    FdClose "fd_close",
    FdFdstatGet "fd_fdstat_get",
    FdPrestatGet "fd_prestat_get",
    FdPrestatDirName "fd_prestat_dir_name",
    PathOpen "path_open",
    PathFilestatGet "path_filestat_get",
    EnvironGet "environ_get",
    EnvironSizesGet "environ_sizes_get",
    ArgsGet "args_get",
    ArgsSizesGet "args_sizes_get",
    ClockTimeGet "clock_time_get",
    RandomGet "random_get",
    SchedYield "sched_yield",
    PollOneoff "poll_oneoff",
    ProcExit "proc_exit",
}

impl Hostcall {
    /// Whether a filter may call this while `_initialize` runs. Envoy traps on
    /// every other call there (`restricted_callback`).
    pub(super) fn allowed_while_initializing(self) -> bool {
        matches!(
            self,
            Hostcall::Log
                | Hostcall::MemoryAllocate
                | Hostcall::FdWrite
                | Hostcall::FdPrestatGet
                | Hostcall::FdPrestatDirName
                | Hostcall::EnvironGet
                | Hostcall::EnvironSizesGet
                | Hostcall::ArgsGet
                | Hostcall::ArgsSizesGet
                | Hostcall::ClockTimeGet
                | Hostcall::RandomGet
        )
    }
}

impl fmt::Display for Hostcall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
