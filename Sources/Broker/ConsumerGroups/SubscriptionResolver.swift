// SPDX-License-Identifier: Apache-2.0
//
// SubscriptionResolver.swift
// From names and expressions to the topics that there are. Keeps what expressions match, so that a new topic is
// compared with each expression once.

import Model

/// The topics of the cluster, as far as assignments need them.
struct TopicCatalogue: Sendable {
    /// One topic.
    struct Topic: Hashable, Sendable {
        /// Its name.
        var name: String
        /// Its id.
        var id: TopicID
        /// How many partitions it has.
        var partitions: Int32
    }

    /// The topics by name.
    private(set) var byName: [String: Topic] = [:]
    /// The names by id.
    private(set) var names: [TopicID: String] = [:]

    /// No topics.
    init() {}

    init(_ topics: some Sequence<Topic>) {
        for topic in topics {
            byName[topic.name] = topic
            names[topic.id] = topic.name
        }
    }
}

/// What members' subscriptions stand for.
struct SubscriptionResolver: Sendable {
    private struct Compiled: Sendable {
        var pattern: TopicPattern
        var matches: Set<String>
    }

    /// The most expressions whose matches are kept; beyond it all are forgotten, and matched again when needed.
    static let patternsMax = 1000

    /// The topics that there are.
    private(set) var topics: TopicCatalogue
    private var compiled: [String: Compiled] = [:]

    /// How many expressions are kept.
    var patternCount: Int { compiled.count }

    init(topics: TopicCatalogue = TopicCatalogue()) { self.topics = topics }

    /// Takes over other topics.
    ///
    /// Cost: each kept expression is compared with the names that are new.
    mutating func replace(_ topics: TopicCatalogue) {
        let added = topics.byName.keys.filter { self.topics.byName[$0] == nil }
        for (text, var entry) in compiled {
            entry.matches = entry.matches.filter { topics.byName[$0] != nil }
            for name in added where entry.pattern.matches(name) { entry.matches.insert(name) }
            compiled[text] = entry
        }
        self.topics = topics
    }

    /// Compiles an expression, so that it is known to be one.
    mutating func admit(_ text: String) throws(TopicPatternError) { _ = try matches(text) }

    private mutating func matches(_ text: String) throws(TopicPatternError) -> Set<String> {
        if let known = compiled[text] { return known.matches }
        let pattern = try TopicPattern(text)
        let matches = Set(topics.byName.keys.filter { pattern.matches($0) })
        if compiled.count >= Self.patternsMax { compiled.removeAll() }
        compiled[text] = Compiled(pattern: pattern, matches: matches)
        return matches
    }

    /// The topics that a member reads, of those that there are.
    mutating func topics(of member: ConsumerGroupMember) -> Set<TopicID> {
        var result = Set(member.topicNames.compactMap { topics.byName[$0]?.id })
        if let pattern = member.pattern, let names = try? matches(pattern) {
            result.formUnion(names.compactMap { topics.byName[$0]?.id })
        }
        return result
    }

    /// How many partitions topics have.
    func partitionCounts(_ wanted: some Sequence<TopicID>) -> [TopicID: Int32] {
        var counts: [TopicID: Int32] = [:]
        for id in wanted { counts[id] = topics.names[id].flatMap { topics.byName[$0]?.partitions } }
        return counts
    }

    /// A number that changes with the topics and their partitions (FNV-1a); who reads which is not part of it.
    static func hash(_ counts: [TopicID: Int32]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ value: UInt64) {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                hash = (hash ^ (value >> shift & 0xFF)) &* 0x0000_0100_0000_01B3
            }
        }
        for (topic, count) in counts.sorted(by: { $0.key.precedes($1.key) }) {
            add(topic.high)
            add(topic.low)
            add(UInt64(truncatingIfNeeded: count))
        }
        return hash
    }
}
