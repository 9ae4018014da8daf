// SPDX-License-Identifier: Apache-2.0
//
// TopicConfigurationTests.swift
// Topic configurations: what is accepted, what is refused and how it is said.

import Settings
import Testing

@Suite struct TopicConfigurationTests {
    @Test func overridesAreApplied() throws {
        let configuration = try TopicConfiguration(
            overrides: [
                "retention.ms": "-1", "segment.bytes": " 1048576 ", "compression.type": "zstd",
                "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "index.interval.bytes": "1",
                "min.insync.replicas": "2",
            ], defaults: .default)
        var expected = TopicConfiguration.default
        expected.retentionMilliseconds = -1
        expected.segmentBytes = 1 << 20
        expected.compression = .zstd
        expected.timestampType = .logAppendTime
        expected.minInsyncReplicas = 2
        #expect(configuration == expected)
    }

    @Test(arguments: [
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: it must be at least -1"),
        ("retention.ms", "7d", "Invalid value 7d for configuration retention.ms: it is not a whole number"),
        ("segment.bytes", "1", "Invalid value 1 for configuration segment.bytes: it must be at least 1048576"),
        (
            "compression.type", "zip",
            "Invalid value zip for configuration compression.type: it must be one of producer, uncompressed, gzip, snappy, lz4, zstd"
        ),
        (
            "cleanup.policy", "squash",
            "Invalid value squash for configuration cleanup.policy: it must be one of delete, compact, compact,delete, delete,compact"
        ),
        (
            "unclean.leader.election.enable", "true",
            "Value true of unclean.leader.election.enable is not supported: only false is served"
        ),
        (
            "min.cleanable.dirty.ratio", "2",
            "Invalid value 2 for configuration min.cleanable.dirty.ratio: it must be a number from 0.0 to 1.0"
        ),
        ("preallocate", "maybe", "Invalid value maybe for configuration preallocate: it must be true or false"),
        ("retention.msx", "1", "Unknown topic configuration retention.msx; did you mean retention.ms?"),
        ("no.such.thing.at.all", "1", "Unknown topic configuration no.such.thing.at.all"),
    ]) func refusals(_ name: String, _ value: String, _ message: String) {
        do throws(TopicConfigurationError) {
            _ = try TopicConfiguration(overrides: [name: value], defaults: .default)
            Issue.record("\(name)=\(value) was accepted")
        } catch {
            #expect(error.description == message)
        }
    }

    @Test func compactionIsConfigured() throws {
        let configuration = try TopicConfiguration(
            overrides: [
                "cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0.2", "min.compaction.lag.ms": "5",
                "max.compaction.lag.ms": "6", "delete.retention.ms": "7",
            ], defaults: .default)
        #expect(configuration.cleanup.compacts && configuration.cleanup.deletes)
        #expect(
            configuration.compaction.dirtyRatioMin == 0.2 && configuration.compaction.deleteRetentionMilliseconds == 7)
        #expect(configuration.compaction.lagMillisecondsMin == 5 && configuration.compaction.lagMillisecondsMax == 6)
        #expect(!CleanupPolicy.compact.deletes && !CleanupPolicy.delete.compacts)
        #expect(throws: TopicConfigurationError.self) {
            try TopicConfiguration(
                overrides: ["min.compaction.lag.ms": "6", "max.compaction.lag.ms": "5"], defaults: .default)
        }
    }

    @Test func everyDefaultIsAccepted() throws {
        for entry in TopicConfigurationCatalogue.effective(overrides: [:], defaults: .default) {
            #expect(try entry.definition.check(entry.value) == entry.value, "\(entry.definition.name)")
        }
    }

    @Test func effectiveValuesTellOverridesFromDefaults() throws {
        let values = TopicConfigurationCatalogue.effective(overrides: ["segment.ms": "5"], defaults: .default)
        let byName = Dictionary(uniqueKeysWithValues: values.map { ($0.definition.name, $0) })
        #expect(byName["segment.ms"]?.value == "5")
        #expect(byName["segment.ms"]?.isOverride == true)
        #expect(byName["retention.ms"]?.value == "604800000")
        #expect(byName["retention.ms"]?.isOverride == false)
        #expect(byName["flush.ms"]?.definition.hasEffect == false)
        #expect(values.count >= 33)
    }
}
