// SPDX-License-Identifier: Apache-2.0
//
// ClusterEntrance.swift
// What a broker with an empty directory does before anything of it runs: asks the others whether there is a cluster, and
// has itself taken in. Confined to the first event loop.

import LogStore
import Logging
import Model
import NIOCore
import Replication

/// The way of a broker that has nothing stored into the cluster.
///
/// It registers as blank: whatever the cluster knows of an earlier broker of its number is void, and it leaves every group
/// it was a member of. When it has left the brokers' own groups it is told where to begin in them, and is taken in again.
final class ClusterEntrance {
    /// How the broker's own groups begin.
    struct Outcome: Sendable {
        /// Whether there is a cluster that takes the broker in.
        var isTakenIn: Bool
        /// Where the replicas of the broker's own groups begin; of founders only the term counts.
        var floors: [GroupID: JoinFloor]

        /// A broker that is alone, or was here before.
        static let known = Outcome(isTakenIn: false, floors: [:])
    }

    private let cluster: ClusterParts
    private let registration: BrokerRegistration
    private let rule: FoundingRule
    private let timing: ClusterTiming
    private let loop: any EventLoop
    private let clock: Clock
    private let logger: Logger
    private let then: (Outcome) -> Void
    private let began: Instant
    private var words: [NodeID: ClusterWord] = [:]
    /// The last answer of each broker that is being asked.
    private var asking: Set<NodeID> = []
    private var isJoining = false
    private var isRegistered = false
    private var isDone = false
    private var hint: NodeID?
    private var asked = 0
    private var said = ""
    private var timer: RepeatedTask?

    /// Begins to ask; `then` runs once on `loop`, perhaps never when the others are away.
    init(
        _ cluster: ClusterParts, _ registration: BrokerRegistration, loop: any EventLoop, clock: Clock, logger: Logger,
        then: @escaping (Outcome) -> Void
    ) {
        self.cluster = cluster
        self.registration = registration
        self.loop = loop
        self.clock = clock
        self.logger = logger
        self.then = then
        timing = ClusterTiming(cluster.hosting)
        rule = FoundingRule(
            node: registration.id, founders: cluster.founders, patience: timing.scaled(Self.patienceMilliseconds))
        began = clock.now()
    }

    /// How long founders that are not there yet are waited for when most of them are.
    private static let patienceMilliseconds: Int64 = 3_000

    /// Asks until something is known.
    func start() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let mine = ProbeAnswer(
            node: registration.id, incarnation: registration.incarnation, word: ClusterWord(), operation: 0,
            isReady: false)
        cluster.requests.serve(.probeBroker, access: .anyone) { _, answer in answer(.success(mine.buffer)) }
        let interval = TimeAmount.milliseconds(timing.look)
        timer = loop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in bound.value.look() }
    }

    private func look() {
        guard !isDone else { return }
        if isJoining { return isRegistered ? askForPlace() : register() }
        decide()
        guard !isDone, !isJoining else { return }
        for peer in Set(cluster.founders).union(cluster.inbox.connected) where peer != registration.id { probe(peer) }
    }

    private func end(_ outcome: Outcome) {
        isDone = true
        timer?.cancel()
        then(outcome)
    }

    /// Says why the start does not go on, when that is news.
    private func say(_ text: Logger.Message, _ metadata: Logger.Metadata = [:]) {
        let line = "\(text) \(metadata)"
        guard line != said else { return }
        said = line
        logger.notice(text, metadata: metadata)
    }

    // MARK: Is there a cluster?

    private func decide() {
        switch rule.verdict(words, after: clock.now().milliseconds(since: began)) {
        case .found(let terms):
            say("No broker knows of a cluster: forming one")
            end(Outcome(isTakenIn: false, floors: terms.mapValues { JoinFloor(term: $0, index: .zero) }))
        case .join:
            isJoining = true
            say("There is a cluster, and nothing is stored here: asking to be taken in")
            register()
        case .wait(let silent):
            let names = silent.map { "\($0)" }.joined(separator: " ")
            say("Waiting for brokers that may know of a cluster: nothing is stored here", ["silent": "\(names)"])
        }
    }

    private func probe(_ peer: NodeID) {
        guard asking.insert(peer).inserted else { return }
        ask(peer, .probeBroker, ProbeRequest().buffer, ProbeAnswer.self, timing.probe) { [self] result in
            asking.remove(peer)
            if case .success(let answer) = result { words[peer] = answer.word } else { words[peer] = nil }
        }
    }

    // MARK: Being taken in

    private func register() {
        let body = RegisterRequest(clusterID: nil, registration: registration).buffer
        askLeader(.registerBroker, body, MembershipAnswer.self) { [self] target, answer in
            switch answer {
            case .accepted:
                isRegistered = true
                askForPlace()
            case .notController(let other): hint = other == target ? nil : other
            case .unknownBroker: hint = nil
            case .refused(let reason): say("The cluster does not take this broker in", ["reason": "\(reason)"])
            }
        }
    }

    private func askForPlace() {
        let body = PlaceRequest(node: registration.id, incarnation: registration.incarnation).buffer
        askLeader(.placeBroker, body, PlaceAnswer.self) { [self] target, answer in
            switch answer {
            case .ready(let floors):
                say("Taken in by the cluster")
                end(Outcome(isTakenIn: true, floors: floors))
            case .leaving: say("Waiting until this broker's lost replicas have left their groups")
            case .unknownBroker: isRegistered = false
            case .notController(let other): hint = other == target ? nil : other
            }
        }
    }

    /// Asks whoever is thought to lead the controller, or anybody, one at a time.
    private func askLeader<Answer: PeerBody>(
        _ type: PeerRequestType, _ body: ByteBuffer, _ answer: Answer.Type,
        _ take: @escaping (NodeID, Answer) -> Void
    ) {
        let others = Set(cluster.founders).union(cluster.inbox.connected).subtracting([registration.id]).sorted()
        guard asking.isEmpty, !others.isEmpty else { return }
        asked += 1
        let target = hint ?? others[asked % others.count]
        asking.insert(target)
        ask(target, type, body, answer, timing.answer) { [self] result in
            asking.remove(target)
            guard !isDone else { return }
            if case .success(let answer) = result { return take(target, answer) }
            hint = nil
        }
    }

    private func ask<Answer: PeerBody>(
        _ target: NodeID, _ type: PeerRequestType, _ body: ByteBuffer, _ answer: Answer.Type, _ timeout: Int64,
        _ then: @escaping (Result<Answer, PeerCallError>) -> Void
    ) {
        let back = NIOLoopBound(then, eventLoop: loop)
        cluster.link.call(type, body, to: target, timeout: .of(timeout)) { [loop] result in
            let decoded = result.flatMap { Answer.decoded($0) }
            loop.execute { back.value(decoded) }
        }
    }
}
