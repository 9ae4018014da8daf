// SPDX-License-Identifier: Apache-2.0
//
// SnapshotDesk.swift
// A log's part in receiving snapshots: hands pieces to the thread, and its answers to whoever asked.

internal import Model
internal import NIOCore

/// What a log has under way with the thread `store-stage`.
///
/// Confined to the log's loop.
struct SnapshotDesk {
    private(set) var stage: SnapshotStage?
    private var waiting: [UInt64: (StageOutcome) -> Void] = [:]

    /// Begins with another snapshot.
    mutating func begin(_ snapshot: LogSnapshot, _ core: StoreCore) -> SnapshotStage {
        let stage = SnapshotStage(snapshot, core)
        self.stage = stage
        return stage
    }

    mutating func finish() { stage = nil }

    /// Sends a job; `completion` is called once.
    mutating func submit(
        _ work: StageJob.Work, ticket: UInt64, _ handle: GroupHandle, _ core: StoreCore,
        completion: @escaping (StageOutcome) -> Void
    ) {
        waiting[ticket] = completion
        core.noteStaging(handle.id)
        core.stageQueue.post(StageJob(handle: handle, ticket: ticket, work: work))
    }

    /// The one who waits for an answer.
    mutating func take(_ ticket: UInt64) -> ((StageOutcome) -> Void)? { waiting.removeValue(forKey: ticket) }

    /// Those who wait for answers that will not come.
    mutating func takeAll() -> [(StageOutcome) -> Void] {
        defer { waiting = [:] }
        return Array(waiting.values)
    }
}

extension StageOutcome {
    var sizes: Result<[Int], StoreError> {
        if case .sizes(let sizes) = self { return .success(sizes) }
        return .failure(error)
    }

    var written: Result<Void, StoreError> {
        if case .written = self { return .success(()) }
        return .failure(error)
    }

    var checked: Result<Bool, StoreError> {
        if case .checked(let isRight) = self { return .success(isRight) }
        return .failure(error)
    }

    var installed: Result<RecoveredGroup, StoreError> {
        if case .installed(let group) = self { return .success(group) }
        return .failure(error)
    }

    var swapped: Result<Void, StoreError> {
        if case .swapped = self { return .success(()) }
        return .failure(error)
    }

    private var error: StoreError {
        guard case .failure(let error) = self else { preconditionFailure("another answer than was asked for: \(self)") }
        return error
    }
}
