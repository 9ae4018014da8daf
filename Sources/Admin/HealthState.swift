// SPDX-License-Identifier: Apache-2.0
//
// HealthState.swift
// Whether the broker can serve, and if not, why.

public import Model
import Synchronization
import Telemetry

/// What one part of the broker says about itself.
public enum HealthStatus: Equatable, Sendable {
    /// It works.
    case healthy
    /// It works, but not all of it, for a reason an operator understands; the broker is still ready.
    case degraded(reason: String)
    /// It does not, for a reason an operator understands.
    case unhealthy(reason: String)
}

/// The named checks behind `/health/ready`.
///
/// A broker is ready when none of them is unhealthy. Parts either set their status when it changes or register a closure
/// that is asked at each request, which must be quick and must not block.
public final class HealthState: Sendable {
    private enum Check: Sendable {
        case known(HealthStatus)
        case asked(@Sendable () -> HealthStatus)
    }

    private let checks = Mutex<[String: Check]>([:])
    private let progress: Mutex<StartupProgress>
    private let clock: Clock

    /// Makes a state without checks, which is ready; a start of these steps begins now.
    public init(phases: [StartupPhase] = StartupPhase.allCases, clock: Clock = .system) {
        self.clock = clock
        progress = Mutex(StartupProgress(began: clock.now(), phases: phases))
    }

    /// Takes note that a step of the start is done; returns the milliseconds since the step before it.
    @discardableResult public func finish(_ phase: StartupPhase) -> Int64 {
        let now = clock.now()
        return progress.withLock { progress in
            let last = progress.done.last?.at ?? progress.began
            progress.finish(phase, at: now)
            return now.milliseconds(since: last)
        }
    }

    /// Sets the status of the check `name`.
    public func set(_ name: String, _ status: HealthStatus) {
        checks.withLock { $0[name] = .known(status) }
    }

    /// Asks `read` for the status of the check `name` each time someone wants to know.
    public func register(_ name: String, read: @escaping @Sendable () -> HealthStatus) {
        checks.withLock { $0[name] = .asked(read) }
    }

    /// Forgets the check `name`.
    public func remove(_ name: String) {
        checks.withLock { $0[name] = nil }
    }

    /// The checks and their status, by name.
    public func report() -> HealthReport {
        let checks = self.checks.withLock { $0 }
        return HealthReport(
            progress: progress.withLock { $0 },
            checks: checks.sorted { $0.key < $1.key }.map { name, check in
                switch check {
                case .known(let status): (name, status)
                case .asked(let read): (name, read())
                }
            })
    }
}

/// The state of all checks at one moment.
public struct HealthReport: Sendable {
    let progress: StartupProgress
    /// Each check with its status, by name.
    public let checks: [(name: String, status: HealthStatus)]

    /// Whether no check is unhealthy.
    public var isReady: Bool {
        checks.allSatisfy { if case .unhealthy = $0.status { false } else { true } }
    }

    /// Whether a part does less than it should.
    public var isDegraded: Bool {
        checks.contains { if case .degraded = $0.status { true } else { false } }
    }

    /// `{"status":"ready","checks":{"storage":{"healthy":true}}}`; the status may be `degraded` or `not_ready`, and parts
    /// that are not well have a `reason`.
    public var json: String { "{\(facts)}\n" }

    /// The same with `"phase":"store"` while the broker starts, and the milliseconds of each step that is done.
    public var jsonWithPhases: String {
        var last = progress.began
        let steps = progress.done.map { phase, at in
            defer { last = at }
            return "{\"phase\":\"\(phase.rawValue)\",\"milliseconds\":\(at.milliseconds(since: last))}"
        }
        let current = progress.current.map { "\"\($0.rawValue)\"" } ?? "null"
        return "{\(facts),\"phase\":\(current),\"startup\":[\(steps.joined(separator: ","))]}\n"
    }

    private var facts: String {
        let entries = checks.map { name, status in
            switch status {
            case .healthy: JSONText.quoted(name) + ":{\"healthy\":true}"
            case .degraded(let reason):
                JSONText.quoted(name) + ":{\"healthy\":true,\"degraded\":true,\"reason\":" + JSONText.quoted(reason)
                    + "}"
            case .unhealthy(let reason):
                JSONText.quoted(name) + ":{\"healthy\":false,\"reason\":" + JSONText.quoted(reason) + "}"
            }
        }
        let status = !isReady ? "not_ready" : isDegraded ? "degraded" : "ready"
        return "\"status\":\"\(status)\",\"checks\":{\(entries.joined(separator: ","))}"
    }
}
