// SPDX-License-Identifier: Apache-2.0
//
// StoreSettings.swift
// Every limit and choice of the store, with its default and the reason for it.

public import Model

/// How one store is set up.
public struct StoreSettings: Sendable {
    /// The data directory; created when it does not exist.
    public var directory: String
    /// Which way frames become durable.
    public var journal: JournalMode = .auto
    /// The size of one journal file; the ring must hold the frames of several checkpoints.
    public var journalFile: ByteCount = .mebibytes(64)
    /// How many journal files the ring has.
    public var journalFiles = 4
    /// The most that waits for the disk before appends are refused with ``StoreError/busy``.
    public var pendingBytesMax: ByteCount = .mebibytes(128)
    /// How long applied frames may stay without a checkpoint; bounds the replay after a crash.
    public var checkpointMilliseconds: Int64 = 2_000
    /// The write buffer pool: frames that were appended lately, for readers at the tail.
    public var tailCache: ByteCount = .mebibytes(64)
    /// Frames that were read from disk lately.
    public var readCache: ByteCount = .mebibytes(16)
    /// How many segment files stay open between uses.
    public var openFiles = 512
    /// Deleted segments kept for reuse, because overwriting a file costs less than growing one.
    public var recycledSegments = 8
    /// Free space below which data is refused.
    public var diskReserve: ByteCount = .gibibytes(1)
    /// The most of the reserve that is held in a file, to be let go when the disk is full; at most an eighth of the reserve.
    public var ballastMax: ByteCount = .mebibytes(128)
    /// The zstd level of frames; 0 turns compression off.
    public var compressionLevel: Int32 = 1
    /// Payloads below this size are stored as they are: the gain does not pay for the way to the codec thread.
    public var compressionBytesMin = 1024
    /// The most memory for the keys of one pass of compaction.
    public var compactionMemory: ByteCount = .mebibytes(128)
    /// Bytes a second that compaction reads and writes; 0 is without a limit.
    public var compactionBytesPerSecond = 0
    /// Threads that read cold data.
    public var readerThreads = 1
    /// Threads that flush segments in parallel.
    public var flushThreads = 4
    /// The broker that the directory belongs to, noted when it is made.
    public var nodeID = NodeID(rawValue: 1)
    /// The time source.
    public var clock = Clock.system
    /// Runs of frames from this length on are written around the page cache; at least one block of 4 KiB.
    package var unbufferedBytesMin = 64 << 10
    /// Payloads from this length on are placed so that they can be written from where they are in memory.
    package var leadBytesMin = 256 << 10
    /// Who does the work of the store's threads.
    package var execution = Execution.threads
    #if MUTATIONS
        /// A deliberate bug.
        package var mutation: StoreMutation?
    #endif

    /// The defaults for `directory`.
    public init(directory: String) { self.directory = directory }

    /// Which way frames become durable.
    public enum JournalMode: String, Sendable, CaseIterable {
        /// Everything that fits goes through the shared journal.
        case on
        /// Every segment is flushed itself.
        case off
        /// Each round goes the way that costs less.
        case auto
    }
}

/// What one group's log needs to know of its topic's configuration.
public struct GroupLogSettings: Sendable, Hashable {
    /// A segment is rolled when it would grow past this size.
    public var segmentBytes: Int
    /// A segment is rolled when its first frame is older than this; nil never.
    public var segmentMilliseconds: Int64?
    /// Whether frames are compressed when that pays.
    public var compressesFrames: Bool

    /// Segments of one GiB, a new one each week, as Kafka has it.
    public init(
        segmentBytes: Int = 1 << 30, segmentMilliseconds: Int64? = 604_800_000, compressesFrames: Bool = true
    ) {
        self.segmentBytes = segmentBytes
        self.segmentMilliseconds = segmentMilliseconds
        self.compressesFrames = compressesFrames
    }
}
