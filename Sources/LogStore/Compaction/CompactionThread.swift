// SPDX-License-Identifier: Apache-2.0
//
// CompactionThread.swift
// The thread that compacts: one log at a time, the one with the largest share of new bytes first, at a bounded rate.

internal import Dispatch
internal import Logging
internal import Model
internal import Synchronization
internal import Telemetry

/// Serves passes.
struct CompactionThread: ~Copyable {
    private let core: StoreCore
    private var waiting: [GroupID: CompactionPlan] = [:]
    private var pass: CompactionPass?
    /// What the log has to decide about before the pass goes on.
    private var offered: RewrittenSegment?
    private var startedAt: Instant

    init(_ core: StoreCore) {
        self.core = core
        startedAt = core.settings.clock.now()
    }

    /// Whether it could go on without hearing anything.
    var hasWork: Bool { offered == nil && (pass != nil || !waiting.isEmpty) }

    /// Runs until it is told to stop.
    mutating func run() {
        var jobs: [CompactionJob] = []
        while true {
            core.compactionQueue.take(into: &jobs)
            guard take(jobs) else { return }
            if hasWork { work() } else if jobs.isEmpty { _ = core.compactionQueue.wait(milliseconds: nil) }
        }
    }

    /// Does once what ``run()`` does again and again, without waiting; returns whether there was work.
    mutating func step() -> Bool {
        var jobs: [CompactionJob] = []
        core.compactionQueue.take(into: &jobs)
        guard take(jobs) else { return true }
        let didWork = !jobs.isEmpty || hasWork
        if hasWork { work() }
        return didWork
    }

    /// Returns false when the thread is to end.
    private mutating func take(_ jobs: [CompactionJob]) -> Bool {
        for job in jobs {
            switch job {
            case .begin(let plan): waiting[plan.handle.id] = plan
            case .proceed(let order, let isWanted):
                if let made = offered, made.order === order {
                    offered = nil
                    if isWanted { pass?.took(made) } else { drop(made) }
                }
                if !isWanted { forget(order) }
            case .stop:
                if let offered { drop(offered) }
                return false
            }
        }
        core.metrics.compactionsWaiting.set(waiting.count)
        return true
    }

    private mutating func forget(_ order: CompactionOrder) {
        waiting = waiting.filter { $0.value.order !== order }
        if pass?.plan.order === order { pass = nil }
    }

    private func drop(_ made: RewrittenSegment) { try? core.system.remove(made.temporaryPath) }

    /// Rewrites some segments of the present pass, or begins the next one.
    private mutating func work() {
        if pass == nil {
            guard let plan = waiting.values.max(by: Self.isLessUrgent) else { return }
            waiting.removeValue(forKey: plan.handle.id)
            pass = CompactionPass(plan)
            startedAt = core.settings.clock.now()
        }
        guard var current = pass else { return }
        let plan = current.plan
        var report: CompactionReport
        do throws(StoreError) {
            if let failure = core.failure { throw failure }
            let brake = CompactionBrake(core, plan.order)
            if let made = try current.advance(core, pace: { bytes throws(StoreError) in try brake.moved(bytes) }) {
                offered = made
                pass = current
                report = .rewritten(made)
            } else {
                pass = nil
                report = .finished(current.statistics)
                note(current.statistics)
            }
        } catch {
            pass = nil
            report = .failed(error)
        }
        if plan.order.isCancelled {
            if let offered { drop(offered) }
            offered = nil
            pass = nil
        }
        var deliveries = Deliveries()
        deliveries.add(.compaction(plan.order, report), for: plan.handle)
        deliveries.send()
    }

    private static func isLessUrgent(_ one: CompactionPlan, _ other: CompactionPlan) -> Bool {
        (one.choice.dirtyRatio, other.handle.id.rawValue) < (other.choice.dirtyRatio, one.handle.id.rawValue)
    }

    private func note(_ statistics: CompactionStatistics) {
        core.metrics.compactions.increment()
        core.metrics.compactionLatency.record(nanoseconds: core.settings.clock.now().nanoseconds(since: startedAt))
    }
}

/// Holds a pass to the rate that is set, and ends it when nobody wants it any more.
final class CompactionBrake {
    private let core: StoreCore
    private let order: CompactionOrder
    private let start: Instant
    private var bytes = 0

    /// A pass that is ahead of its rate by less than this does not wait.
    private static let slackMilliseconds: Int64 = 20
    /// It looks so often whether it is wanted.
    private static let pauseMillisecondsMax: Int64 = 100

    init(_ core: StoreCore, _ order: CompactionOrder) {
        self.core = core
        self.order = order
        start = core.settings.clock.now()
    }

    /// Notes bytes that were read or written; waits when there were too many for the time.
    func moved(_ count: Int) throws(StoreError) {
        bytes += count
        core.metrics.compactionBytes.increment(by: count)
        try check()
        let rate = core.compactionRate.load(ordering: .relaxed)
        guard rate > 0, case .threads = core.settings.execution else { return }
        while true {
            let due = Int64(Double(bytes) / Double(rate) * 1000)
            let ahead = due - core.settings.clock.now().milliseconds(since: start)
            guard ahead > Self.slackMilliseconds else { return }
            // Nobody signals it: this is the wait.
            let never = DispatchSemaphore(value: 0)
            _ = never.wait(timeout: .now() + .milliseconds(Int(min(ahead, Self.pauseMillisecondsMax))))
            try check()
        }
    }

    private func check() throws(StoreError) {
        if order.isCancelled || core.isCompactionStopped.load(ordering: .relaxed) { throw .closed }
    }
}
