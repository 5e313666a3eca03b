//! Faults that are planted to see that the simulation finds what it is there to find.

/// What a host does that none may, or the service that it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Some writes of rows are lost, and said to be done.
    LostWrites,
    /// Some workers read what a row held before it was last written.
    OldRows,
    /// A row is written before what stands there, not in its place.
    GrowingRows,
    /// The clock goes at half its speed.
    SlowClock,
    /// No time is ever told to have passed.
    NoTicks,
    /// Whom the host acts for is whom it acted for before.
    WrongStream,
    /// Some answers to clients are lost.
    LostReplies,
    /// Nobody is told that a client left.
    SilentLeaving,
    /// The answer to a call is given to the call before it.
    SwappedAnswers,
    /// A call is sent, and said not to be.
    DoubtfulCalls,
    /// The same of calls for a part of what a target is.
    DoubtfulParts,
    /// A request that is to stay goes on now and then.
    DeafToPause,
    /// The end of a job is told to nobody.
    UntoldEnds,
    /// Versions of what decisions are made from stay what they are.
    LostVersions,
    /// A version is read behind what it is the version of.
    LateVersions,
    /// Who comes with what the forge made from a token reads versions as they were in the beginning.
    OldVersions,
    /// The version that follows on what credentials were made from stays what it is. Who keeps no decision does well with it.
    UntoldMinted,
    /// From whose tokens credentials were made is forgotten at once, so that they outlive their jobs.
    LostMinted,
    /// A body that is to go on in the place of another does not.
    KeptBodies,
    /// The service tells for ever of the project that first had a path, wherever that is now.
    OldPaths,
    /// The service says of nothing how old it is.
    UntoldAges,
    /// The service tells from its memory what it is to ask the forge.
    UnwantedMemory,
    /// Bindings that are pushed out leave their version as it is. Who keeps no decision does well with it.
    SilentEvictions,
    /// The service does not say how old a denial is that it remembers.
    OldDenials,
    /// Of an answer that comes in pieces the last alone is shown.
    LastPieces,
    /// Who waits when another configuration comes is forgotten.
    DroppedExchanges,
    /// What ended is forgotten when a worker is loaded anew.
    ForgottenEnds,
    /// A filter that lays rows out in another way gets those of the one before.
    SharedLayouts,
    /// The service says for ever that the instance limits access nowhere.
    OldSettings,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::LostWrites,
        Self::OldRows,
        Self::GrowingRows,
        Self::SlowClock,
        Self::NoTicks,
        Self::WrongStream,
        Self::LostReplies,
        Self::SilentLeaving,
        Self::SwappedAnswers,
        Self::DoubtfulCalls,
        Self::DoubtfulParts,
        Self::DeafToPause,
        Self::UntoldEnds,
        Self::LostVersions,
        Self::LateVersions,
        Self::OldVersions,
        Self::UntoldMinted,
        Self::LostMinted,
        Self::KeptBodies,
        Self::OldPaths,
        Self::UntoldAges,
        Self::UnwantedMemory,
        Self::SilentEvictions,
        Self::OldDenials,
        Self::LastPieces,
        Self::DroppedExchanges,
        Self::ForgottenEnds,
        Self::SharedLayouts,
        Self::OldSettings,
    ];
}
