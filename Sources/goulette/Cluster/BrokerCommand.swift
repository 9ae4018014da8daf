// SPDX-License-Identifier: Apache-2.0
//
// BrokerCommand.swift
// `goulette broker`: the brokers' states, and emptying one before it is restarted or removed.

import Admin
import ArgumentParser
import Model
import Terminal

/// Everything about single brokers.
struct BrokerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broker", abstract: "List brokers, and drain, resume or remove one.",
        subcommands: [List.self, Describe.self, Drain.self, Resume.self, Decommission.self])
}

extension BrokerView {
    /// The state, coloured.
    var stateCell: TableCell {
        let text = drain.map { "\(state) (\($0))" } ?? state
        switch state {
        case "active": return TableCell(text, state: .healthy)
        case "failed": return TableCell(text, state: .failed)
        default: return TableCell(text, state: .degraded)
        }
    }

    var json: JSONValue {
        .object([
            ("id", .integer(id)), ("address", .string(address)), ("peerAddress", .string(peerAddress)),
            ("rack", .optional(rack)), ("state", .string(state)), ("drain", .optional(drain)),
            ("since", .string(WallTime(milliseconds: since).rfc3339)), ("replicas", .integer(replicas)),
            ("leaders", .integer(leaders)), ("controller", .boolean(isController)),
        ])
    }
}

extension BrokerCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List brokers with their states.")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: AdminOptions

        func run() async throws {
            let brokers: [BrokerView] = try await connection.withAdmin("cannot list brokers") {
                try await $0.get("/v1/brokers")
            }
            var table = Table([
                .init("broker", .right), .init("state"), .init("address"), .init("rack"), .init("replicas", .right),
                .init("leaders", .right), .init("controller"),
            ])
            for broker in brokers {
                table.add([
                    .number(broker.id), broker.stateCell, TableCell(broker.address), TableCell(broker.rack ?? "-"),
                    .number(broker.replicas), .number(broker.leaders), broker.isController ? "yes" : "",
                ])
            }
            try output.print(text: table.text(palette: connection.palette), json: .array(brokers.map(\.json)))
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one broker.")

        @Argument(help: "The broker's number.")
        var id: Int32

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: AdminOptions

        func run() async throws {
            let broker: BrokerView = try await connection.withAdmin("cannot describe broker \(id)") {
                try await $0.get("/v1/brokers/\(id)")
            }
            var facts = FactList()
            facts.add("broker", .number(broker.id))
            facts.add("state", broker.stateCell)
            facts.add("since", TableCell(WallTime(milliseconds: broker.since).rfc3339))
            facts.add("address", TableCell(broker.address))
            facts.add("peers", TableCell(broker.peerAddress))
            facts.add("rack", TableCell(broker.rack ?? "-"))
            facts.add("replicas", .number(broker.replicas))
            facts.add("leaders", .number(broker.leaders))
            facts.add("controller", broker.isController ? "yes" : "no")
            try output.print(text: facts.text(palette: connection.palette), json: broker.json)
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move all leaders away from a broker, as before a restart.")

        @OptionGroup var order: OrderOptions

        func run() async throws { try await order.carryOut(.drain) { $0.leaders } }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a drained broker take part again.")

        @OptionGroup var order: OrderOptions

        func run() async throws { try await order.carryOut(.resume) { _ in 0 } }
    }

    struct Decommission: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move leaders and replicas away from a broker, and forget it.",
            discussion: "The broker can be stopped for good when this is done.")

        @OptionGroup var order: OrderOptions

        func run() async throws { try await order.carryOut(.decommission) { $0.replicas } }
    }
}

/// An order for a broker, and waiting until it is carried out.
struct OrderOptions: ParsableArguments {
    @Argument(help: "The broker's number.")
    var id: Int32

    @Flag(help: "Give the order, and do not wait until it is carried out.")
    var noWait = false

    @Option(help: "How long to wait: 30s, 10m, 2h.")
    var timeout = "1h"

    @OptionGroup var connection: AdminOptions

    /// Gives the order; then waits until nothing of what `left` counts is left.
    func carryOut(_ order: BrokerOrder, left: @escaping @Sendable (BrokerView) -> Int) async throws {
        guard let limit = Humanised.milliseconds(parsing: timeout) else {
            throw ValidationError("'\(timeout)' is not a time, such as 30s or 10m")
        }
        let what = "cannot \(order.rawValue) broker \(id)"
        try await connection.withAdmin(what) { client in
            let broker: BrokerView = try await client.post("/v1/brokers/\(id)/\(order.rawValue)")
            guard !noWait else { return try FileOutput.standardOutput.write("broker \(id): \(broker.state)\n") }
            _ = try await WorkProgress(total: left(broker), limitMilliseconds: limit).follow(
                { "broker \(id): \($0) of \(left(broker)) left, \($1)" },
                late: { rest in
                    Failure(
                        "broker \(id) is not \(order.past) yet", place: "\(rest) of \(left(broker)) left",
                        advice: "it goes on; look with: goulette broker describe \(id)", exitCode: .tryAgain)
                },
                pause: { await client.pause(milliseconds: $0) },
                left: {
                    let brokers: [BrokerView] = try await client.get("/v1/brokers")
                    // A broker that was removed is not in the list any more.
                    guard let broker = brokers.first(where: { $0.id == id }) else { return nil }
                    let rest = left(broker)
                    return order == .decommission || rest > 0 ? rest : nil
                })
            try FileOutput.standardOutput.write("broker \(id): \(order.past)\n")
        }
    }
}

extension BrokerOrder {
    /// How it is called when it is done.
    fileprivate var past: String {
        switch self {
        case .drain: "drained"
        case .resume: "resumed"
        case .decommission: "decommissioned"
        }
    }
}
