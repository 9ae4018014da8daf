// SPDX-License-Identifier: Apache-2.0
//
// Main.swift
// The transport between brokers on loopback: entries of 1 MiB, messages of 100 bytes, heartbeats of many groups.
// Both sides are in this process, so the processor time printed is that of sending and of receiving together.
//
//     swift run -c release --scratch-path .build-release peer-benchmark [gibibytes] [million messages] [vectors]

import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import Raft
import Records
import Replication
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Keeps so many calls on their way until all have arrived.
final class Pump: Sendable {
    private struct State {
        var sent = 0
        var arrived = 0
        var done: CheckedContinuation<Void, Never>?
    }

    private let calls: Int
    private let perCall: Int
    private let window: Int
    private let state = Mutex(State())
    private let send: @Sendable (Int) -> Void

    init(calls: Int, messagesPerCall: Int, window: Int, send: @escaping @Sendable (Int) -> Void) {
        self.calls = calls
        self.perCall = messagesPerCall
        self.window = window
        self.send = send
    }

    func run() async {
        await withCheckedContinuation { continuation in
            state.withLock { $0.done = continuation }
            arrived(0)
        }
    }

    func arrived(_ count: Int) {
        let (range, done) = state.withLock { state -> (Range<Int>, CheckedContinuation<Void, Never>?) in
            state.arrived += count
            let next = min(calls, state.arrived / perCall + window)
            defer { state.sent = max(state.sent, next) }
            let isDone = state.arrived >= calls * perCall
            return (state.sent..<max(state.sent, next), isDone ? state.done.take() : nil)
        }
        for call in range { send(call) }
        done?.resume()
    }
}

/// Two brokers of this process.
struct Pair: Sendable {
    let one: PeerTransport
    let two: PeerTransport
    private let pump = Box()

    final class Box: Sendable {
        let pump = Mutex<Pump?>(nil)
    }

    static func started() async throws -> Pair {
        let registry = MetricRegistry()
        func transport(_ id: Int32, _ registry: MetricRegistry) -> PeerTransport {
            var settings = PeerTransportSettings(
                node: NodeID(rawValue: id), incarnation: UInt64(id), listen: PeerAddress(host: "127.0.0.1", port: 0))
            settings.bulkOutboxBytesMax = 256 << 20
            return PeerTransport(
                settings: settings, group: MultiThreadedEventLoopGroup(numberOfThreads: 1),
                requests: PeerRequestTable(), metrics: registry,
                logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
        }
        let pair = Pair(one: transport(1, registry), two: transport(2, MetricRegistry()))
        let box = pair.pump
        let port = try await pair.two.start(
            events: PeerEvents(messages: { _, messages in box.pump.withLock { $0 }?.arrived(messages.count) }))
        _ = try await pair.one.start(events: PeerEvents(messages: { _, _ in }))
        // The second broker must know the first to listen to it; it never reaches it.
        pair.two.setPeers([NodeID(rawValue: 1): [PeerAddress(host: "127.0.0.1", port: 1)]])
        pair.one.setPeers([NodeID(rawValue: 2): [PeerAddress(host: "127.0.0.1", port: port)]])
        // Both lanes: what is sent before is dropped.
        let limit = ContinuousClock.now + .seconds(30)
        while !registry.prometheusText().contains("goulette_peer_connections{direction=\"out\"} 2") {
            precondition(ContinuousClock.now < limit, "the brokers did not connect")
            // Only the metric tells that they have: it is asked again, up to the limit.
            try await Task.sleep(for: .milliseconds(10))
        }
        return pair
    }

    /// Sends `calls` times what `message` makes, and returns seconds and processor seconds.
    func measure(
        calls: Int, perCall: Int, window: Int, _ messages: @escaping @Sendable (Int) -> [PeerMessage]
    ) async -> (seconds: Double, processor: Double) {
        let pump = Pump(calls: calls, messagesPerCall: perCall, window: window) { [one] call in
            one.send(messages(call), to: NodeID(rawValue: 2))
        }
        self.pump.pump.withLock { $0 = pump }
        let (start, used) = (ContinuousClock.now, Self.processorSeconds)
        await pump.run()
        let time = ContinuousClock.now - start
        let (seconds, attoseconds) = time.components
        return (Double(seconds) + Double(attoseconds) / 1e18, Self.processorSeconds - used)
    }

    private static var processorSeconds: Double {
        var time = timespec()
        // The pointer lives only for the call.
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Runs and prints.
@main
struct PeerBenchmark {
    static func main() async throws {
        AllocatorTuning.apply()
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let gibibytes = max(1, arguments.first ?? 8)
        let millions = max(1, arguments.dropFirst().first ?? 4)
        let vectors = max(1, arguments.dropFirst(2).first ?? 500)
        let pair = try await Pair.started()
        await entries(pair, count: gibibytes * 1024, byteCount: 1 << 20)
        await entries(pair, count: gibibytes * 1024, byteCount: 64 << 10)
        await messages(pair, count: millions * 1_000_000)
        await heartbeats(pair, vectors: vectors, groups: 5000)
        await pair.one.stop()
        await pair.two.stop()
    }

    private static func append(_ payload: ByteBuffer) -> PeerMessage {
        let entry = StoredEntry(
            kind: .data, term: Term(1), index: LogIndex(2), baseOffset: .zero, recordCount: 1, maxTimestamp: 0,
            codec: .none, rawLength: payload.readableBytes, startsSegment: false, payload: payload,
            checksum: CRC32C.checksum(payload))
        let append = PeerAppend(
            previous: Raft.Position(index: LogIndex(1), term: Term(1)), committed: LogIndex(1), session: 1,
            entries: [entry])
        return PeerMessage(group: GroupID(rawValue: 1024), term: Term(1), body: .append(append))
    }

    private static func entries(_ pair: Pair, count: Int, byteCount: Int) async {
        let message = append(ByteBuffer(repeating: 7, count: byteCount))
        let result = await pair.measure(calls: count, perCall: 1, window: (32 << 20) / byteCount) { _ in [message] }
        let gigabytes = Double(count * byteCount) / 1e9
        print(
            "entries of \(byteCount >> 10) KiB: \(text(gigabytes / result.seconds)) GB/s, "
                + "\(text(result.processor / gigabytes)) processor seconds for a GB")
    }

    private static func messages(_ pair: Pair, count: Int) async {
        let one = append(ByteBuffer(repeating: 7, count: 100))
        let batch = [PeerMessage](repeating: one, count: 100)
        let result = await pair.measure(calls: count / 100, perCall: 100, window: 200) { _ in batch }
        print(
            "entries of 100 bytes, 100 in a call: \(Int(Double(count) / result.seconds)) messages/s, "
                + "\(Int(result.processor / Double(count) * 1e9)) ns of processor time each")
    }

    private static func heartbeats(_ pair: Pair, vectors: Int, groups: Int) async {
        for form in ["nothing changed", "a tenth changed"] {
            let result = await pair.measure(calls: vectors, perCall: groups, window: 4) { call in
                (0..<groups).map { group in
                    let committed = form == "nothing changed" || group % 10 > 0 ? 1 : call
                    return PeerMessage(
                        group: GroupID(rawValue: 1024 + UInt64(group)), term: Term(1),
                        body: .heartbeat(
                            Raft.Heartbeat(committed: LogIndex(UInt64(committed)), round: UInt64(call), session: 1)))
                }
            }
            print(
                "heartbeats of \(groups) groups, \(form): "
                    + "\(Int(result.processor / Double(vectors * groups) * 1e9)) ns of processor time for a group")
        }
    }

    private static func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}
