// SPDX-License-Identifier: Apache-2.0
//
// DevClusterCommand.swift
// `goulette dev-cluster`: several brokers as children of one process, their logs in one terminal.

import ArgumentParser
import Dispatch
import Foundation
import KafkaClient
import NIOCore
import NIOPosix
import Terminal

/// Runs a cluster on this machine, to try things out.
struct DevClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev-cluster",
        abstract: "Run a cluster of several brokers on this machine.",
        discussion: """
            Each broker is a process of its own with a short configuration in its directory, which can be read and copied. \
            Control-C stops all of them in order; what they stored is there at the next start. A broker that is killed \
            stays dead until then, or until its command, which is printed, is run in another terminal.
            """)

    @Option(help: "How many brokers, 1 to 9.")
    var brokers = 3

    @Option(help: "The directory for all of them.")
    var data = "goulette-dev-cluster"

    @Option(help: "The first broker's port for clients; the others follow. Peers are 100 above, HTTP 200 above.")
    var portsFrom = 9092

    @Flag(help: "Print without colours, as NO_COLOR=1 does.")
    var noColor = false

    func validate() throws {
        guard (1...9).contains(brokers) else { throw ValidationError("--brokers is 1 to 9") }
        guard portsFrom > 0, portsFrom + 2 * DevClusterPlan.portStride + brokers <= 65_536 else {
            throw ValidationError("--ports-from leaves no room for the other ports")
        }
    }

    func run() async throws {
        let directory = URL(fileURLWithPath: data)
        if let existing = DevClusterPlan.existing(in: directory), existing != brokers {
            throw Failure(
                "Cannot start a cluster of \(brokers)", place: "\(data) holds a cluster of \(existing) brokers",
                advice: "Run it with --brokers \(existing), or with another --data.", exitCode: .failed)
        }
        let plan = DevClusterPlan(brokers: brokers, directory: directory, firstPort: portsFrom)
        do {
            try plan.write()
        } catch {
            throw Failure(
                "Cannot write to \(data)", place: "\(error)", advice: "Choose another directory with --data.",
                exitCode: .failed)
        }
        let palette = Palette(
            isTerminal: FileOutput.standardOutput.isTerminal, noColourFlag: noColor, environment: .terminal)
        var run = DevClusterRun(plan: plan, palette: palette)
        try await run.run()
    }
}

/// A running cluster: starts the children, prints what they say, and stops them.
private struct DevClusterRun {
    let plan: DevClusterPlan
    let palette: Palette
    private var children: [ChildBroker] = []
    private var hasFormed = false
    private var interruptions = 0
    private var failure: Failure?

    init(plan: DevClusterPlan, palette: Palette) {
        self.plan = plan
        self.palette = palette
    }

    mutating func run() async throws {
        let (events, continuation) = AsyncStream.makeStream(of: DevClusterEvent.self)
        let signals = Self.watchSignals(continuation)
        defer { for signal in signals { signal.cancel() } }
        for member in plan.members {
            do {
                children.append(try ChildBroker(member, events: continuation))
            } catch {
                failure = Failure(
                    "Cannot start broker \(member.id)", place: "\(error)",
                    advice: "See whether processes can be started.")
                stopAll()
                break
            }
        }
        let bootstrap = plan.bootstrap
        let count = plan.members.count
        let probe = Task {
            if await Self.waitUntilFormed(bootstrap, count) { continuation.yield(.formed) }
        }
        var alive = children.count
        if alive == 0 { continuation.finish() }
        for await event in events {
            try handle(event)
            if case .ended = event {
                alive -= 1
                if alive == 0 { break }
            }
        }
        probe.cancel()
        if let failure { throw failure }
    }

    private mutating func handle(_ event: DevClusterEvent) throws {
        switch event {
        case .line(let broker, let text): try print(text, of: broker)
        case .formed:
            hasFormed = true
            try announce()
        case .interrupted:
            interruptions += 1
            if interruptions == 1 { stopAll() } else { for child in children { child.kill() } }
        case .ended(let broker, let how): try ended(broker, how)
        }
    }

    private mutating func ended(_ broker: Int, _ how: DevClusterEvent.HowItEnded) throws {
        switch how {
        case .status(0): try print("stopped", of: broker)
        case .status(let status):
            try print("ended with status \(status)", of: broker, state: .failed)
            // One that cannot start would leave the others waiting.
            guard !hasFormed, interruptions == 0, failure == nil else { return }
            failure = Failure(
                "Broker \(broker) did not start", place: "it ended with status \(status)",
                advice: "See its lines above.")
            stopAll()
        case .signal(let number):
            try print("killed by signal \(number)", of: broker, state: .failed)
            guard interruptions == 0, let member = plan.members.first(where: { $0.id == broker }) else { return }
            try print("start it again with: goulette start --config \(member.configuration.path)", of: broker)
        }
    }

    private func stopAll() { for child in children { child.stop() } }

    private func print(_ text: String, of broker: Int, state: StateColour? = nil) throws {
        let prefix = palette.paint("\(broker) |", number: broker)
        let shown = state.map { palette.paint(text, as: $0) } ?? text
        try FileOutput.standardOutput.write("\(prefix) \(shown)\n")
    }

    private func announce() throws {
        let first = plan.members[0]
        let processes = children.map { "\($0.id): \($0.processID)" }.joined(separator: ", ")
        try FileOutput.standardOutput.write(
            """

            \(plan.members.count) brokers are ready on \(plan.bootstrap)

              produce    echo hello | kcat -b \(first.kafka) -t greetings -P
              consume    kcat -b \(first.kafka) -t greetings -C -e
              topics     goulette topic create orders -p 12 -b \(plan.bootstrap)
              processes  \(processes)

            Control-C stops them.


            """)
    }

    /// Asks until every broker is in the metadata; false when it was given up.
    private static func waitUntilFormed(_ bootstrap: String, _ count: Int) async -> Bool {
        guard let addresses = BrokerAddress.list(parsing: bootstrap) else { return false }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = await KafkaClient(settings: ClientSettings(bootstrap: addresses), eventLoop: group.next())
        var hasFormed = false
        while !hasFormed, !Task.isCancelled {
            let metadata = try? await client.metadata(topics: [])
            hasFormed = metadata?.brokers.count == count && metadata?.controller != nil
            if !hasFormed { await client.pause(milliseconds: 100) }
        }
        await client.close()
        // Nothing is left on its loop.
        try? await group.shutdownGracefully()
        return hasFormed
    }

    private static func watchSignals(
        _ events: AsyncStream<DevClusterEvent>.Continuation
    ) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            _ = signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { events.yield(.interrupted) }
            source.resume()
            return source
        }
    }
}
