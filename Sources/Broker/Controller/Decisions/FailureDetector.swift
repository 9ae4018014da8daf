// SPDX-License-Identifier: Apache-2.0
//
// FailureDetector.swift
// From heartbeats and lost connections to verdicts about brokers. A value on the controller's leader; it never acts.

package import Model

/// Decides which brokers are fenced and which are let in again, and whose replicas are replaced.
///
/// A broker is *suspect* when it was silent for a while or its connection broke, and *failed* after more silence. A failed
/// broker that answers again is active again, at once the first time; one that fails over and over must answer for a
/// while first (flapping). Replicas are replaced only after a grace period, and only while most brokers answer.
///
/// Time in which nobody watched does not count against a broker: not before this broker led, and not while its
/// process stood still.
package struct FailureDetector: Sendable {
    /// Times in milliseconds.
    package struct Settings: Equatable, Sendable {
        /// Silence after which a broker is suspect.
        package var suspectAfter: Int64 = 2_000
        /// Silence after which a broker has failed.
        package var failAfter: Int64 = 5_000
        /// Silence after which a broker has failed when its connection is lost too.
        package var failDisconnectedAfter: Int64 = 2_000
        /// How long a broker stays failed before its replicas are replaced.
        package var replaceAfter: Int64 = 10 * 60_000
        /// Failures within this time count as flapping.
        package var flapWindow: Int64 = 10 * 60_000
        /// How long a broker has to answer after its second failure in the window; doubled with each further one.
        package var steadyAfterFlap: Int64 = 5_000
        /// The most a flapping broker has to answer.
        package var steadyMax: Int64 = 5 * 60_000
        /// Evaluations further apart than this mean that this process stood still.
        package var watchGap: Int64 = 1_000

        package init() {}
    }

    /// What the detector thinks of a broker, finer than what is decided.
    package enum Suspicion: String, Equatable, Sendable {
        case active
        case suspect
        case failed
    }

    /// What should be done about a broker.
    package enum Verdict: Equatable, Sendable {
        case fence(NodeID, incarnation: UInt64)
        case unfence(NodeID, incarnation: UInt64)
    }

    private struct Watch {
        var incarnation: UInt64
        var lastHeard: Instant
        /// Since when it has answered without a pause.
        var steadySince: Instant?
        var isReady = false
        var isConnected = true
        var failedSince: Instant?
        /// When it failed lately, oldest first.
        var failures: [Instant] = []
    }

    /// At most so many failures are remembered: after them the wait does not grow any more.
    private static let failuresMax = 8

    package let settings: Settings
    private var watches: [NodeID: Watch] = [:]
    private var lastEvaluation: Instant?

    package init(settings: Settings = Settings()) { self.settings = settings }

    // MARK: Events

    /// This broker leads the controller now: everyone has been heard from just now, failed brokers keep the time they
    /// have been failed for.
    package mutating func begin(_ brokers: some Sequence<BrokerRecord>, now: Instant, wallTime: WallTime) {
        watches.removeAll()
        lastEvaluation = now
        for broker in brokers {
            var watch = Watch(incarnation: broker.registration.incarnation, lastHeard: now)
            if broker.health == .failed {
                let age = max(0, wallTime.milliseconds - broker.since.milliseconds)
                watch.failedSince = now.earlier(byMilliseconds: age)
                watch.isConnected = false
            }
            watches[broker.id] = watch
        }
    }

    /// A broker registered; it starts with a clean sheet but for its failures.
    package mutating func registered(_ node: NodeID, incarnation: UInt64, now: Instant) {
        var watch = watches[node] ?? Watch(incarnation: incarnation, lastHeard: now)
        if watch.incarnation != incarnation {
            watch.incarnation = incarnation
            watch.isReady = false
            watch.steadySince = nil
        }
        watch.lastHeard = now
        watch.isConnected = true
        watches[node] = watch
    }

    /// A broker is not part of the cluster any more.
    package mutating func unregistered(_ node: NodeID) { watches[node] = nil }

    /// A broker said that it lives; `isReady` when it has recovered and may hold leaders.
    package mutating func heartbeat(_ node: NodeID, incarnation: UInt64, isReady: Bool, now: Instant) {
        guard var watch = watches[node], watch.incarnation == incarnation else { return }
        if watch.steadySince == nil || now.milliseconds(since: watch.lastHeard) >= settings.suspectAfter {
            watch.steadySince = now
        }
        watch.lastHeard = now
        watch.isConnected = true
        watch.isReady = isReady
        watches[node] = watch
    }

    /// The connection to a broker stands, or is lost.
    package mutating func connection(_ node: NodeID, isUp: Bool) { watches[node]?.isConnected = isUp }

    /// Someone could not reach a broker and neither could this one: it need not be waited for.
    package mutating func confirmedUnreachable(_ node: NodeID, now: Instant) {
        guard var watch = watches[node] else { return }
        watch.isConnected = false
        watch.steadySince = nil
        watch.lastHeard = now.earlier(byMilliseconds: settings.failAfter)
        watches[node] = watch
    }

    // MARK: Verdicts

    /// What follows for `brokers` at this moment; to be asked several times within ``Settings/watchGap``.
    package mutating func evaluate(_ brokers: some Sequence<BrokerRecord>, now: Instant) -> [Verdict] {
        forgivePause(now)
        var verdicts: [Verdict] = []
        for broker in brokers.sorted(by: { $0.id < $1.id }) {
            guard var watch = watches[broker.id], watch.incarnation == broker.registration.incarnation else {
                registered(broker.id, incarnation: broker.registration.incarnation, now: now)
                continue
            }
            watch.failures.removeAll { now.milliseconds(since: $0) > settings.flapWindow }
            let isSilent = suspicion(watch, now) == .failed
            switch broker.health {
            case .active, .starting:
                if !isSilent { watch.failedSince = nil }
                if isSilent {
                    if watch.failedSince == nil {
                        watch.failedSince = now
                        watch.failures = watch.failures.suffix(Self.failuresMax - 1) + [now]
                    }
                    watch.steadySince = nil
                    verdicts.append(.fence(broker.id, incarnation: watch.incarnation))
                } else if broker.health == .starting, mayEnter(watch, now) {
                    verdicts.append(.unfence(broker.id, incarnation: watch.incarnation))
                }
            case .failed:
                if watch.failedSince == nil { watch.failedSince = now }
                if !isSilent, mayEnter(watch, now) {
                    verdicts.append(.unfence(broker.id, incarnation: watch.incarnation))
                }
            }
            watches[broker.id] = watch
        }
        return verdicts
    }

    /// The brokers whose replicas should be replaced: failed for long, while most of the cluster answers.
    package func replaceable(_ brokers: some Sequence<BrokerRecord>, now: Instant) -> Set<NodeID> {
        let all = Array(brokers)
        guard all.count(where: { $0.health == .active }) * 2 > all.count else { return [] }
        let failed = all.filter { broker in
            guard broker.health == .failed, let since = watches[broker.id]?.failedSince else { return false }
            return now.milliseconds(since: since) >= settings.replaceAfter
        }
        return Set(failed.map(\.id))
    }

    /// What the detector thinks of a broker now; nil when it is not watched.
    package func suspicion(of node: NodeID, now: Instant) -> Suspicion? {
        watches[node].map { suspicion($0, now) }
    }

    /// Whether leaders may move to a broker now: it said lately that it is ready, and its connection stands.
    ///
    /// Not before it has said so to this leader of the controller, which may just have taken over from it.
    package func mayLead(_ node: NodeID, now: Instant) -> Bool {
        watches[node].map { $0.isReady && suspicion($0, now) == .active } ?? false
    }

    /// Milliseconds since a broker was heard of.
    package func silence(of node: NodeID, now: Instant) -> Int64? {
        watches[node].map { now.milliseconds(since: $0.lastHeard) }
    }

    // MARK: Rules

    private func suspicion(_ watch: Watch, _ now: Instant) -> Suspicion {
        let silence = now.milliseconds(since: watch.lastHeard)
        if silence >= settings.failAfter { return .failed }
        if !watch.isConnected { return silence >= settings.failDisconnectedAfter ? .failed : .suspect }
        return silence >= settings.suspectAfter ? .suspect : .active
    }

    /// Whether a broker has answered for long enough, given how often it failed lately.
    private func mayEnter(_ watch: Watch, _ now: Instant) -> Bool {
        guard watch.isReady, let since = watch.steadySince else { return false }
        guard watch.failures.count > 1 else { return true }
        let doublings = min(watch.failures.count - 2, Self.failuresMax)
        return now.milliseconds(since: since) >= min(settings.steadyAfterFlap << Int64(doublings), settings.steadyMax)
    }

    private mutating func forgivePause(_ now: Instant) {
        let gap = lastEvaluation.map { now.milliseconds(since: $0) } ?? 0
        lastEvaluation = now
        guard gap > settings.watchGap else { return }
        for node in watches.keys {
            guard let watch = watches[node] else { continue }
            watches[node]?.lastHeard = min(now, watch.lastHeard.advanced(byMilliseconds: gap))
        }
    }
}

extension Instant {
    /// The instant that many milliseconds before, or the beginning of the clock.
    func earlier(byMilliseconds milliseconds: Int64) -> Instant {
        let distance = UInt64(max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
        guard !distance.overflow, distance.partialValue < nanoseconds else { return Instant(nanoseconds: 0) }
        return Instant(nanoseconds: nanoseconds - distance.partialValue)
    }
}
