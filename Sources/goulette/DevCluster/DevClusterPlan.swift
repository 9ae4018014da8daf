// SPDX-License-Identifier: Apache-2.0
//
// DevClusterPlan.swift
// What a cluster on one machine consists of: ports, directories, and a short configuration for each broker.

import Foundation

/// The brokers of a cluster on one machine.
struct DevClusterPlan {
    /// One of them.
    struct Member {
        let id: Int
        let kafka: String
        let peer: String
        let admin: String
        let directory: URL

        var configuration: URL { directory.appendingPathComponent("goulette.yaml") }
    }

    /// Peer listeners are so far above the listeners for clients, and admin listeners twice as far.
    static let portStride = 100

    let members: [Member]

    init(brokers: Int, directory: URL, firstPort: Int) {
        members = (1...brokers).map { id in
            let port = firstPort + id - 1
            return Member(
                id: id, kafka: "127.0.0.1:\(port)", peer: "127.0.0.1:\(port + Self.portStride)",
                admin: "127.0.0.1:\(port + 2 * Self.portStride)",
                directory: directory.appendingPathComponent("broker-\(id)"))
        }
    }

    var bootstrap: String { members.map(\.kafka).joined(separator: ",") }

    /// The file of a broker, as a person would write it.
    func yaml(of member: Member) -> String {
        """
        # Made by goulette dev-cluster, at each start.
        node:
          id: \(member.id)
        listeners:
          kafka: \(member.kafka)
        admin:
          listen: \(member.admin)
        storage:
          directory: "\(member.directory.appendingPathComponent("data").path)"
        cluster:
          peers: [\(members.map { "\($0.id)@\($0.peer)" }.joined(separator: ", "))]
        topics:
          default_replication_factor: \(min(3, members.count))
        log:
          format: text

        """
    }

    /// Makes the directories and writes the files.
    func write() throws {
        for member in members {
            try FileManager.default.createDirectory(at: member.directory, withIntermediateDirectories: true)
            try Data(yaml(of: member).utf8).write(to: member.configuration)
        }
    }

    /// How many brokers the directory was made for; nil when it is new.
    static func existing(in directory: URL) -> Int? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        let count = names.filter { $0.hasPrefix("broker-") }.count
        return count == 0 ? nil : count
    }
}
