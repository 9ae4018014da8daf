// SPDX-License-Identifier: Apache-2.0
//
// PeerRequestTable.swift
// Every request that other brokers may make of this one: handler, deadline, who may ask, and what is counted.

public import Model
public import NIOCore
internal import Synchronization
public import Telemetry

/// A request of another broker.
public struct PeerRequest: Sendable {
    /// Who asks.
    public let from: NodeID
    /// What is asked for.
    public let type: PeerRequestType
    /// Its content, which the handler decodes.
    public let body: ByteBuffer
    /// When the answer is worth nothing any more; the asking side's time or the table's, whichever is shorter.
    public let timeout: Duration

    /// Makes a request.
    public init(from: NodeID, type: PeerRequestType, body: ByteBuffer, timeout: Duration) {
        self.from = from
        self.type = type
        self.body = body
        self.timeout = timeout
    }
}

/// The requests this broker serves.
///
/// One table for each broker, filled before the transport starts. An answer must be given exactly once; one that comes
/// after the deadline is dropped.
public final class PeerRequestTable: Sendable {
    /// Gives the answer of a request; any thread.
    public typealias Answer = @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    /// Serves one type of request; called on the loop of a connection, which must not be held up.
    public typealias Handler = @Sendable (PeerRequest, @escaping Answer) -> Void

    /// Who may make a request.
    public enum Access: Sendable, Hashable {
        /// Brokers whose address this broker was told.
        case members
        /// Any broker of the cluster, also one that is not registered yet.
        case anyone
    }

    /// What a type has when nothing else is said.
    public static let defaultDeadline = Duration.seconds(30)

    struct Route: Sendable {
        let deadline: Duration
        let access: Access
        let handler: Handler
    }

    private let routes = Mutex<[PeerRequestType: Route]>([:])
    private let metrics: PeerRequestMetrics
    private let clock: Clock

    /// Makes an empty table: every request is answered with ``PeerCallError/unknownType``.
    public init(metrics: MetricRegistry? = nil, clock: Clock = .system) {
        self.metrics = PeerRequestMetrics(metrics)
        self.clock = clock
    }

    /// Serves `type` from now on; replaces the handler that stood there.
    public func serve(
        _ type: PeerRequestType, deadline: Duration = PeerRequestTable.defaultDeadline, access: Access = .members,
        handler: @escaping Handler
    ) {
        routes.withLock { $0[type] = Route(deadline: deadline, access: access, handler: handler) }
    }

    /// The time a request of this type is given at most.
    public func deadline(of type: PeerRequestType) -> Duration {
        routes.withLock { $0[type]?.deadline } ?? Self.defaultDeadline
    }

    /// Carries out one request; `type` is the number on the wire.
    ///
    /// `answer` may be called before this returns. The caller watches the deadline.
    public func carryOut(
        _ type: UInt16, _ body: ByteBuffer, from node: NodeID, isMember: Bool, timeout: Duration,
        answer: @escaping Answer
    ) {
        guard let known = PeerRequestType(rawValue: type), let route = routes.withLock({ $0[known] }) else {
            metrics.countUnknown()
            return answer(.failure(.unknownType))
        }
        guard isMember || route.access == .anyone else {
            metrics.count(known, .notPermitted)
            return answer(.failure(.notPermitted))
        }
        let start = clock.now()
        let request = PeerRequest(from: node, type: known, body: body, timeout: min(timeout, route.deadline))
        route.handler(request) { [metrics, clock] result in
            metrics.count(known, PeerCallStatus(result))
            metrics.duration(known).record(from: start, to: clock.now())
            answer(result)
        }
    }
}

/// How a request ended, on the wire and in metrics.
enum PeerCallStatus: UInt8, Sendable, CaseIterable {
    case ok = 0
    case failed = 1
    case unknownType = 2
    case notPermitted = 3
    case busy = 4
    case timedOut = 5
    case tooLarge = 6

    init(_ result: Result<ByteBuffer, PeerCallError>) {
        switch result {
        case .success: self = .ok
        case .failure(.unknownType): self = .unknownType
        case .failure(.notPermitted): self = .notPermitted
        case .failure(.busy): self = .busy
        case .failure(.timedOut): self = .timedOut
        case .failure(.tooLarge): self = .tooLarge
        case .failure: self = .failed
        }
    }

    var name: String {
        switch self {
        case .ok: "ok"
        case .failed: "failed"
        case .unknownType: "unknown_type"
        case .notPermitted: "not_permitted"
        case .busy: "busy"
        case .timedOut: "timed_out"
        case .tooLarge: "too_large"
        }
    }
}

/// What is counted of requests that other brokers made.
struct PeerRequestMetrics: Sendable {
    private let durations: [PeerRequestType: LatencyHistogram]
    private let counts: [PeerRequestType: [Counter]]
    private let unknown: Counter

    init(_ registry: MetricRegistry?) {
        var durations: [PeerRequestType: LatencyHistogram] = [:]
        var counts: [PeerRequestType: [Counter]] = [:]
        func counter(_ type: String, _ status: PeerCallStatus) -> Counter {
            registry?.counter(
                "goulette_interbroker_requests_total", help: "Requests of other brokers, by type and outcome.",
                labels: ["type": type, "status": status.name]) ?? Counter()
        }
        for type in PeerRequestType.allCases {
            counts[type] = PeerCallStatus.allCases.map { counter(type.name, $0) }
            durations[type] =
                registry?.latency(
                    "goulette_interbroker_request_duration_seconds",
                    help: "Time from a broker's request to its answer.", labels: ["type": type.name])
                ?? LatencyHistogram()
        }
        self.durations = durations
        self.counts = counts
        unknown = counter("unknown", .unknownType)
    }

    func countUnknown() { unknown.increment() }

    func count(_ type: PeerRequestType, _ status: PeerCallStatus) {
        counts[type]?[Int(status.rawValue)].increment()
    }

    func duration(_ type: PeerRequestType) -> LatencyHistogram { durations[type] ?? LatencyHistogram() }
}
