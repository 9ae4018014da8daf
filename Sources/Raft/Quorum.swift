// SPDX-License-Identifier: Apache-2.0
//
// Quorum.swift
// Majorities as pure functions over sets of voters.

public import Model

extension Raft {
    /// The state of an election or any other poll.
    public enum PollResult: Sendable {
        /// A quorum agreed.
        case won
        /// No quorum can agree any more.
        case lost
        /// Answers are missing.
        case pending
    }

    /// Majority arithmetic.
    ///
    /// An empty set of voters agrees with everything, so that it is neutral in a joint quorum.
    ///
    /// Cost: quadratic in the number of voters and without allocation; groups have three to seven.
    public enum Quorum {
        /// The smallest number of voters that is a majority of `count`.
        public static func majority(of count: Int) -> Int { count / 2 + 1 }

        /// The greatest value that a majority of `voters` has reached, `nil` when there are no voters.
        public static func reached<Value: Comparable>(_ voters: [NodeID], by value: (NodeID) -> Value) -> Value? {
            let needed = majority(of: voters.count)
            var best: Value?
            for candidate in voters {
                let position = value(candidate)
                if let best, position <= best { continue }
                var supporters = 0
                for voter in voters where value(voter) >= position { supporters += 1 }
                if supporters >= needed { best = position }
            }
            return best
        }

        /// The state of a poll among `voters`; nil stands for no answer yet.
        public static func poll(_ voters: [NodeID], answer: (NodeID) -> Bool?) -> PollResult {
            var yes = 0
            var open = 0
            for voter in voters {
                switch answer(voter) {
                case true?: yes += 1
                case nil: open += 1
                case false?: break
                }
            }
            let needed = voters.isEmpty ? 0 : majority(of: voters.count)
            if yes >= needed { return .won }
            return yes + open >= needed ? .pending : .lost
        }
    }
}

extension Raft.Configuration {
    /// The greatest value that every quorum of this configuration has reached; nil when there are no voters.
    public func reached<Value: Comparable>(by value: (NodeID) -> Value) -> Value? {
        guard let incoming = Raft.Quorum.reached(voters, by: value) else { return nil }
        guard let leaving = Raft.Quorum.reached(outgoing, by: value) else { return incoming }
        return min(incoming, leaving)
    }

    /// The state of a poll that needs a majority of every set of voters.
    ///
    /// Nobody wins without voters.
    public func poll(answer: (NodeID) -> Bool?) -> Raft.PollResult {
        guard !voters.isEmpty else { return .lost }
        switch (Raft.Quorum.poll(voters, answer: answer), Raft.Quorum.poll(outgoing, answer: answer)) {
        case (.won, .won): return .won
        case (.lost, _), (_, .lost): return .lost
        default: return .pending
        }
    }
}
