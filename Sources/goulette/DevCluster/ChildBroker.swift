// SPDX-License-Identifier: Apache-2.0
//
// ChildBroker.swift
// One broker as a child process, whose output arrives line by line.

import Foundation
import Synchronization

/// What happens to a cluster on one machine, in the order it is noticed.
enum DevClusterEvent: Sendable {
    case line(broker: Int, String)
    case ended(broker: Int, HowItEnded)
    /// All brokers answer and know each other.
    case formed
    /// Control-C, or a request to end.
    case interrupted

    /// How a process ended.
    enum HowItEnded: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }
}

/// A broker that runs beside this process.
final class ChildBroker {
    let id: Int
    private let process = Process()

    /// The pid.
    var processID: Int32 { process.processIdentifier }

    /// Whether it has not ended yet.
    var isRunning: Bool { process.isRunning }

    init(_ member: DevClusterPlan.Member, events: AsyncStream<DevClusterEvent>.Continuation) throws {
        id = member.id
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["start", "--config", member.configuration.path]
        // The file says everything; settings of this process's environment are not meant for each broker.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GOULETTE_") }
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        let id = member.id
        let splitter = Mutex(LineSplitter())
        pipe.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            let lines = splitter.withLock { data.isEmpty ? $0.finish() : $0.add(data) }
            for line in lines { events.yield(.line(broker: id, line)) }
            if data.isEmpty { handle.readabilityHandler = nil }
        }
        process.terminationHandler = { process in
            let how: DevClusterEvent.HowItEnded =
                process.terminationReason == .exit
                ? .status(process.terminationStatus) : .signal(process.terminationStatus)
            events.yield(.ended(broker: id, how))
        }
        try process.run()
    }

    /// Asks it to stop in order.
    func stop() { if process.isRunning { process.terminate() } }

    /// Ends it at once.
    func kill() { if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) } }
}

/// Cuts output into lines; one without an end is cut at a limit.
struct LineSplitter {
    static let lineBytesMax = 64 << 10
    private var rest = Data()

    /// The lines that are complete with `data`.
    mutating func add(_ data: Data) -> [String] {
        rest.append(data)
        var lines: [String] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
            rest = Data(rest[rest.index(after: end)...])
        }
        if rest.count > Self.lineBytesMax { lines += finish() }
        return lines
    }

    /// What is left without an end.
    mutating func finish() -> [String] {
        guard !rest.isEmpty else { return [] }
        defer { rest = Data() }
        return [String(decoding: rest, as: UTF8.self)]
    }
}
