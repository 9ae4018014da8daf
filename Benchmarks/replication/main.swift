// SPDX-License-Identifier: Apache-2.0
//
// main.swift
// What groups cost that have nothing to do: three brokers with 10,000 groups in one thread, logs and network in memory.

import Foundation
import LogStore
import Logging
import Model
import NIOCore
import NIOEmbedded
import Raft
import Replication
import Synchronization

/// A log in memory that is durable at once.
final class MemoryLog: GroupLog {
    let id: GroupID
    let loop: any EventLoop
    let firstIndex = LogIndex(1)
    private(set) var lastIndex = LogIndex.zero
    private(set) var lastTerm = Term.zero
    let termBeforeFirst = Term.zero
    private(set) var flushedIndex = LogIndex.zero
    let logEndOffset = Offset.zero
    private(set) var hardState = HardStateRecord(term: .zero, votedFor: nil)
    private(set) var termStarts: [TermStart] = []
    let configurations: [ConfigurationRecord] = []
    var onFlushed: ((LogIndex, Term) -> Void)?
    var onFailed: ((StoreError) -> Void)?
    private var entries: [StoredEntry] = []

    init(_ id: GroupID, _ loop: any EventLoop) {
        self.id = id
        self.loop = loop
    }

    private func later(_ body: @escaping () -> Void) { loop.assumeIsolated().execute(body) }

    func refusal(for byteCount: Int) -> StoreError? { nil }

    func append(_ draft: FrameDraft) throws(StoreError) {
        lastIndex = draft.index
        if draft.term > lastTerm {
            termStarts.append(TermStart(term: draft.term, firstIndex: lastIndex, firstOffset: .zero))
        }
        lastTerm = draft.term
        entries.append(
            StoredEntry(
                kind: draft.kind, term: draft.term, index: draft.index, baseOffset: .zero, recordCount: 0,
                maxTimestamp: -1, codec: .none, rawLength: draft.payload.readableBytes, startsSegment: false,
                payload: draft.payload))
        later { [self] in
            flushedIndex = lastIndex
            onFlushed?(lastIndex, lastTerm)
        }
    }

    func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError) {
        self.hardState = hardState
        later(completion)
    }

    func truncate(from index: LogIndex) throws(StoreError) { preconditionFailure("nothing is cut here") }
    func term(at index: LogIndex) -> Term? { index == .zero ? .zero : entries.first { $0.index == index }?.term }

    func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {
        let found = entries.filter { $0.index >= index && $0.index <= last }
        later { completion(.success(found)) }
    }

    func sealedEntries(from index: LogIndex, through last: LogIndex) -> [StoredEntry]? {
        entries.filter { $0.index >= index && $0.index <= last }
    }

    func close() {}
}

/// What brokers send lies here until it is delivered.
final class Network: PeerLink {
    struct Parcel {
        let to: NodeID
        let messages: [PeerMessage]
    }

    let parcels = Mutex<[Parcel]>([])

    func send(_ messages: [PeerMessage], to peer: NodeID) {
        parcels.withLock { $0.append(Parcel(to: peer, messages: messages)) }
    }

    func announce(_ leaders: [GroupLeader], to peer: NodeID) {}

    func call(
        _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
        then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    ) { then(.failure(.notConnected)) }
}

/// Counts who leads.
final class Observer: ReplicaObserver {
    var leads = false
    func replicaLeads(term: Term) { leads = true }
    func replicaFollows(term: Term, leader: NodeID?) { leads = false }
    func replicaCommitted(upTo index: LogIndex) {}
    func replicaFailed(_ error: StoreError) {}
}

let groups = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 10_000
let loop = EmbeddedEventLoop()
let nodes = (1...3).map { NodeID(rawValue: $0) }
let networks = nodes.map { _ in Network() }
let hosts = zip(nodes, networks).map { node, network in
    GroupHost(node: node, loop: loop, link: network, logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
}
var observers: [Observer] = []
var replicas: [ReplicaGroup] = []
for (place, host) in hosts.enumerated() {
    for number in 0..<groups {
        let log = MemoryLog(GroupID(rawValue: 1024 + UInt64(number)), loop)
        let group = ReplicaGroup(
            node: nodes[place], log: log, configuration: Raft.Configuration(voters: nodes),
            settings: host.settings.raft,
            seed: UInt64(number * 3 + place))
        let observer = Observer()
        observers.append(observer)
        replicas.append(group)
        host.add(group)
        group.start(observer: observer)
    }
}

@MainActor func deliver() {
    var moved = true
    while moved {
        loop.run()
        moved = false
        for (place, network) in networks.enumerated() {
            let parcels = network.parcels.withLock { parcels in
                defer { parcels = [] }
                return parcels
            }
            for parcel in parcels {
                moved = true
                hosts[Int(parcel.to.rawValue) - 1].receive(parcel.messages, from: nodes[place])
            }
        }
    }
}

@MainActor func run(_ ticks: Int) -> Double {
    let start = ContinuousClock.now
    for _ in 0..<ticks {
        for host in hosts { host.tick() }
        deliver()
    }
    let spent = start.duration(to: .now)
    return Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
}

while observers.count(where: \.leads) < groups { _ = run(10) }
_ = run(200)
let ticks = 400
let seconds = run(ticks)
let perSecond = seconds / Double(ticks) * 1000 / Double(hosts[0].settings.tickMilliseconds) / 3
let leaders = (0..<3).map { node in observers[(node * groups)..<((node + 1) * groups)].count(where: \.leads) }
print("groups \(groups), leaders \(leaders.map(String.init).joined(separator: " "))")
print("CPU of one broker: \((perSecond * 10_000).rounded() / 100)% of a core, without sockets")
