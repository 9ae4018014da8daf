// SPDX-License-Identifier: Apache-2.0
//
// Configuration.swift
// Who votes and who only listens, and the history of that along the log.

public import Model

extension Raft {
    /// A membership.
    ///
    /// Joint while `outgoing` is not empty: then every decision needs a majority of both sets.
    ///
    /// Invariants: each list ascends without repetition; a voter is no learner. A node of `outgoing` may be a learner:
    /// it votes until the joint configuration is left and listens afterwards.
    public struct Configuration: Hashable, Sendable, CustomStringConvertible {
        /// The voters, or the incoming ones while joint.
        public let voters: [NodeID]
        /// The voters that are being replaced, empty unless joint.
        public let outgoing: [NodeID]
        /// Replicas that receive the log and do not count.
        public let learners: [NodeID]

        /// Makes a membership; lists may come in any order.
        ///
        /// Stops when a voter is also a learner.
        public init(voters: [NodeID], outgoing: [NodeID] = [], learners: [NodeID] = []) {
            self.voters = Self.normalised(voters)
            self.outgoing = Self.normalised(outgoing)
            self.learners = Self.normalised(learners)
            precondition(!self.learners.contains(where: self.voters.contains), "a voter is also a learner: \(self)")
        }

        /// No members: what a replica holds that has been started but not yet joined.
        public static let empty = Configuration(voters: [])

        /// Whether two sets of voters must agree.
        public var isJoint: Bool { !outgoing.isEmpty }

        /// Whether `node` votes in either set.
        public func isVoter(_ node: NodeID) -> Bool { voters.contains(node) || outgoing.contains(node) }

        /// Whether `node` receives the log.
        public func contains(_ node: NodeID) -> Bool { isVoter(node) || learners.contains(node) }

        /// All replicas, ascending.
        public var members: [NodeID] { Self.normalised(voters + outgoing + learners) }

        /// `voters 1 2 3`, with `outgoing` and `learners` when there are any.
        public var description: String {
            var parts: [String] = []
            for (name, nodes) in [("voters", voters), ("outgoing", outgoing), ("learners", learners)]
            where !nodes.isEmpty || name == "voters" {
                parts.append(([name] + nodes.map(\.description)).joined(separator: " "))
            }
            return parts.joined(separator: ", ")
        }

        private static func normalised(_ nodes: [NodeID]) -> [NodeID] {
            var result: [NodeID] = []
            for node in nodes.sorted() where node != result.last { result.append(node) }
            return result
        }
    }

    /// The configurations along the log: the one in effect at the log's base, then one per configuration entry.
    ///
    /// Invariants: at least one element; indexes ascend; the last one is in effect, committed or not.
    public struct ConfigurationHistory: Hashable, Sendable {
        /// One configuration and the index of the entry that brought it.
        public struct Element: Hashable, Sendable {
            /// The entry's index, or any index at or below the log's base for the first element.
            public let index: LogIndex
            /// The membership from there on.
            public let configuration: Configuration
        }

        /// The configurations, oldest first.
        public private(set) var elements: [Element]

        /// Begins with the configuration in effect at `index`.
        public init(initial configuration: Configuration, at index: LogIndex = .zero) {
            elements = [Element(index: index, configuration: configuration)]
        }

        /// The configuration in effect and where it came from.
        public var current: Element { elements[elements.count - 1] }

        /// The configuration that was in effect at `index`, the oldest one known when `index` is below it.
        public func element(at index: LogIndex) -> Element {
            elements.last { $0.index <= index } ?? elements[0]
        }

        /// Records the configuration of the entry at `index`.
        public mutating func append(_ configuration: Configuration, at index: LogIndex) {
            precondition(index > current.index, "configuration at \(index) after \(current.index)")
            elements.append(Element(index: index, configuration: configuration))
        }

        /// Forgets the configurations of entries from `index` on.
        mutating func truncate(from index: LogIndex) {
            while elements.count > 1 && current.index >= index { elements.removeLast() }
        }

        /// Forgets what came before the configuration in effect at `index`.
        mutating func trim(through index: LogIndex) {
            let keep = elements.lastIndex { $0.index <= index } ?? 0
            elements.removeFirst(keep)
        }
    }
}
