// SPDX-License-Identifier: Apache-2.0
//
// PeerTestBroker.swift
// A broker's transport on loopback, what it heard, and a way to wait for it.

import Logging
import Model
import NIOCore
import NIOPosix
import Synchronization
import Telemetry

@testable import Replication

/// What happened, and who waits for it.
final class EventLog: Sendable {
    private struct Waiter {
        let text: String
        var missing: Int
        let resume: CheckedContinuation<Void, Never>
    }

    private struct State {
        var lines: [String] = []
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())

    func note(_ line: String) {
        let met = state.withLock { state -> [Waiter] in
            state.lines.append(line)
            for place in state.waiters.indices where line.contains(state.waiters[place].text) {
                state.waiters[place].missing -= 1
            }
            let met = state.waiters.filter { $0.missing == 0 }
            if !met.isEmpty { state.waiters.removeAll { $0.missing == 0 } }
            return met
        }
        for one in met { one.resume.resume() }
    }

    /// Returns once so many lines with `text` were noted; the test's time limit ends it otherwise.
    func wait(for text: String, times: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isMet = state.withLock { state in
                let missing = times - state.lines.count { $0.contains(text) }
                if missing > 0 { state.waiters.append(Waiter(text: text, missing: missing, resume: continuation)) }
                return missing <= 0
            }
            if isMet { continuation.resume() }
        }
    }
}

/// Puts log lines into an event log.
private struct EventLogHandler: LogHandler {
    let log: EventLog
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug

    init(log: EventLog) { self.log = log }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let values = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        log.note("log \(event.message) \(values.joined(separator: " "))")
    }
}

/// One broker.
final class PeerTestBroker: Sendable {
    let node: NodeID
    let transport: PeerTransport
    let table = PeerRequestTable()
    let registry = MetricRegistry()
    let log = EventLog()
    private let heard = Mutex<[PeerMessage]>([])
    private let port = Mutex(0)

    init(_ id: Int32, incarnation: UInt64 = 1, _ change: (inout PeerTransportSettings) -> Void = { _ in }) {
        node = NodeID(rawValue: id)
        var settings = PeerTransportSettings(
            node: node, incarnation: incarnation, clusterID: "kluster",
            listen: PeerAddress(host: "127.0.0.1", port: 0))
        settings.reconnectDelay = .milliseconds(5)...(.milliseconds(50))
        change(&settings)
        let log = self.log
        transport = PeerTransport(
            settings: settings, group: MultiThreadedEventLoopGroup.singleton, requests: table, metrics: registry,
            logger: Logger(label: "broker \(id)") { _ in EventLogHandler(log: log) })
    }

    func start() async throws {
        let started = try await transport.start(
            events: PeerEvents(
                messages: { from, messages in
                    self.heard.withLock { $0 += messages }
                    for message in messages { self.log.note("message \(message.group.rawValue) from \(from)") }
                },
                leaders: { from, leaders in self.log.note("leaders \(leaders.count) from \(from)") },
                peer: { peer, state in
                    if case .up(let incarnation) = state {
                        self.log.note("up \(peer) \(incarnation)")
                    } else {
                        self.log.note("down \(peer)")
                    }
                }))
        port.withLock { $0 = started }
    }

    var address: PeerAddress { PeerAddress(host: "127.0.0.1", port: port.withLock { $0 }) }

    /// What came, in the order in which it came.
    var messages: [PeerMessage] { heard.withLock { $0 } }

    func metric(_ line: String) -> Bool { registry.prometheusText().contains(line + "\n") }

    /// The value of a metric; 0 when it is not there.
    func value(_ series: String) -> Int {
        for line in registry.prometheusText().split(separator: "\n") where line.hasPrefix(series + " ") {
            return Int(Double(line.dropFirst(series.count + 1)) ?? 0)
        }
        return 0
    }

    /// The outcome of a call, as text.
    func call(_ type: PeerRequestType, _ text: String, to peer: Int32, timeout: Duration = .seconds(20)) async -> String
    {
        await withCheckedContinuation { continuation in
            transport.call(type, ByteBuffer(string: text), to: NodeID(rawValue: peer), timeout: timeout) { result in
                switch result {
                case .success(let body): continuation.resume(returning: String(buffer: body))
                case .failure(let error): continuation.resume(returning: "\(error)")
                }
            }
        }
    }

    /// Started brokers that know each other and can speak.
    static func cluster(
        _ count: Int32, _ change: (inout PeerTransportSettings) -> Void = { _ in }
    ) async throws -> [PeerTestBroker] {
        let brokers = (1...count).map { PeerTestBroker($0, change) }
        for broker in brokers { try await broker.start() }
        introduce(brokers)
        for broker in brokers {
            for other in brokers where other !== broker { await broker.waitForLanes(to: other.node) }
        }
        return brokers
    }

    /// Returns once both lanes to a peer are open.
    func waitForLanes(to peer: NodeID) async {
        await log.wait(for: "up \(peer)")
        await log.wait(for: "log lane to a broker is open lane=bulk peer=\(peer)")
    }

    static func introduce(_ brokers: [PeerTestBroker]) {
        let addresses = Dictionary(uniqueKeysWithValues: brokers.map { ($0.node, $0.address) })
        for broker in brokers { broker.transport.setPeers(addresses.mapValues { [$0] }) }
    }
}
