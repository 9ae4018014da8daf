// SPDX-License-Identifier: Apache-2.0
//
// StageThread.swift
// The thread that receives snapshots: writes and checks their pieces, and puts them in place of logs.

internal import Dispatch
internal import Model
internal import NIOCore

/// What a log asks of the thread.
struct StageJob: Sendable {
    /// Whom to answer; nil for what has no answer.
    let handle: GroupHandle?
    let ticket: UInt64
    let work: Work

    enum Work: Sendable {
        /// Makes the staging place ready.
        case begin(SnapshotStage)
        /// Adds a piece.
        case write(SnapshotStage, ByteBuffer, file: Int, at: Int)
        /// Checks some more of what is there.
        case check(SnapshotStage)
        /// Replaces the log.
        case install(SnapshotStage, GroupLogSettings)
        /// Replaces segments by a compacted one.
        case swap(RewrittenSegment)
        /// Passes a deletion on, behind what is under way.
        case delete(GroupID)
        /// Signals when everything before is done.
        case barrier(DispatchSemaphore)
        /// Ends the thread.
        case stop
    }
}

/// What the thread answers.
enum StageOutcome: Sendable {
    /// How much of each file is there.
    case sizes([Int])
    /// A piece is in its place.
    case written
    /// Whether everything is there and right.
    case checked(Bool)
    /// The log as it is now.
    case installed(RecoveredGroup)
    /// A compacted segment is in its place.
    case swapped
    case failure(StoreError)
}

/// Serves jobs in their order.
struct StageThread {
    private let core: StoreCore

    init(_ core: StoreCore) { self.core = core }

    /// Runs until it is told to stop.
    func run() {
        var jobs: [StageJob] = []
        while true {
            core.stageQueue.take(into: &jobs)
            if jobs.isEmpty { _ = core.stageQueue.wait(milliseconds: nil) }
            guard work(on: jobs) else { return }
        }
    }

    /// Does once what ``run()`` does again and again, without waiting; returns whether there was work.
    func step() -> Bool {
        var jobs: [StageJob] = []
        core.stageQueue.take(into: &jobs)
        _ = work(on: jobs)
        return !jobs.isEmpty
    }

    private func work(on jobs: [StageJob]) -> Bool {
        for job in jobs {
            switch job.work {
            case .stop: return false
            case .barrier(let done): done.signal()
            case .delete(let group): core.flushQueue.post(.forward(.deleteGroup(group)))
            default:
                var deliveries = Deliveries()
                if let handle = job.handle {
                    deliveries.add(.staged(ticket: job.ticket, answer(job.work)), for: handle)
                }
                deliveries.send()
            }
        }
        return true
    }

    private func answer(_ work: StageJob.Work) -> StageOutcome {
        if let failure = core.failure { return .failure(failure) }
        do throws(StoreError) {
            switch work {
            case .begin(let stage): return .sizes(try stage.begin())
            case .write(let stage, let bytes, let file, let position):
                try stage.write(bytes, file: file, at: position)
                return .written
            case .check(let stage): return .checked(try stage.check())
            case .install(let stage, let settings): return .installed(try install(stage, settings))
            case .swap(let made):
                try SegmentSwap(core: core, made: made).run()
                return .swapped
            case .delete, .barrier, .stop: preconditionFailure("\(work) has no answer")
            }
        } catch {
            return .failure(error)
        }
    }

    /// Puts a snapshot in place of the log, and recovers what is there then.
    ///
    /// An error behind the decision leaves the group between two logs: the store stops, and the next start goes on.
    private func install(_ stage: SnapshotStage, _ settings: GroupLogSettings) throws(StoreError) -> RecoveredGroup {
        let snapshot = stage.snapshot
        do throws(StoreError) {
            try SnapshotInstall(core: core, snapshot: snapshot).run(stage)
            let group = try recover(snapshot, settings)
            guard group.lastIndex == snapshot.index, group.lastTerm == snapshot.term, group.damage == nil else {
                throw .index("the snapshot of \(snapshot.group) up to \(snapshot.index) ends at \(group.lastIndex)")
            }
            return group
        } catch {
            core.fail(error, during: "install a snapshot of \(snapshot.group)")
            throw error
        }
    }

    private func recover(_ snapshot: LogSnapshot, _ settings: GroupLogSettings) throws(StoreError) -> RecoveredGroup {
        let record = try indexed { () throws(IndexError) in try core.index.loadGroup(snapshot.group) }
        if case .state = snapshot.content { return RecoveredGroup(commands: record, meta: record.meta ?? GroupMeta()) }
        let recovery = try GroupRecovery(
            snapshot.group, record: record, core: core, settings: settings, replayedFrom: nil, isClean: false,
            writes: true)
        return try recovery.run()
    }
}
