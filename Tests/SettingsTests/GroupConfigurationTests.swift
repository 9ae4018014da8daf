// SPDX-License-Identifier: Apache-2.0
//
// GroupConfigurationTests.swift
// What can be set on a group: names, bounds, durations, and what fits together only with the broker's settings.

import Testing

@testable import Settings

@Suite struct GroupConfigurationTests {
    @Test func everyConfigurationHasAnEffect() throws {
        let set = [
            "consumer.session.timeout.ms": "60000", "consumer.heartbeat.interval.ms": " 7000 ",
            "share.session.timeout.ms": "50000", "share.heartbeat.interval.ms": "8000",
            "share.record.lock.duration.ms": "0020000", "share.auto.offset.reset": "by_duration:P1DT2H",
            "share.isolation.level": "read_committed",
        ]
        #expect(Set(set.keys) == Set(GroupConfigurationCatalogue.all.map(\.name)))
        let group = try GroupConfiguration(checking: set, settings: .defaults)
        #expect(group.consumerSessionMilliseconds == 60_000 && group.consumerHeartbeatMilliseconds == 7_000)
        #expect(group.overrides["share.record.lock.duration.ms"] == "20000", "kept as it is read")
        let share = BrokerSettings.defaults.shareGroups.adapted(to: group)
        #expect(share.sessionTimeout == .seconds(50) && share.heartbeatInterval == .seconds(8))
        #expect(share.recordLockDuration == .seconds(20) && share.isolation == .readCommitted)
        #expect(share.offsetReset == .byDuration && share.offsetResetDuration == .seconds(26 * 3_600))
        #expect(share.maxRecordLocks == BrokerSettings.defaults.shareGroups.maxRecordLocks)
        #expect(BrokerSettings.defaults.shareGroups.adapted(to: nil) == BrokerSettings.defaults.shareGroups)
        // The broker's interval has grown since.
        var grown = BrokerSettings.defaults.shareGroups
        grown.heartbeatInterval = .seconds(3_600)
        let half = try GroupConfiguration(checking: ["share.session.timeout.ms": "45000"], settings: .defaults)
        #expect(grown.adapted(to: half).heartbeatInterval == .seconds(15))
        #expect(GroupConfiguration(stored: group.overrides) == group)
    }

    @Test(arguments: [
        (
            "consumer.session.timeout.ms", "99",
            "Invalid value 99 for configuration consumer.session.timeout.ms: it must be at least 100"
        ),
        (
            "share.record.lock.duration.ms", "3600001",
            "Invalid value 3600001 for configuration share.record.lock.duration.ms: it must be at most 3600000"
        ),
        (
            "share.session.timeout.ms", "45s",
            "Invalid value 45s for configuration share.session.timeout.ms: it is not a whole number"
        ),
        (
            "share.isolation.level", "READ_COMMITTED",
            "Invalid value READ_COMMITTED for configuration share.isolation.level: "
                + "it must be one of read_uncommitted, read_committed"
        ),
        (
            "share.auto.offset.reset", "by_duration",
            "Invalid value by_duration for configuration share.auto.offset.reset: "
                + "it must be latest, earliest or by_duration: with an ISO 8601 duration such as PT1H"
        ),
        (
            "consumer.heartbeat.interval.ms", "45000",
            "consumer.heartbeat.interval.ms is 45000 and must be below consumer.session.timeout.ms, which is 45000"
        ),
        (
            "share.session.timeout.ms", "5000",
            "share.heartbeat.interval.ms is 5000 and must be below share.session.timeout.ms, which is 5000"
        ),
        (
            "consumer.session.timeout", "1",
            "Unknown group configuration consumer.session.timeout; did you mean consumer.session.timeout.ms?"
        ),
        ("retention.ms", "1", "Unknown group configuration retention.ms"),
    ]) func refusals(_ name: String, _ value: String, _ message: String) {
        do throws(GroupConfigurationError) {
            _ = try GroupConfiguration(checking: [name: value], settings: .defaults)
            Issue.record("\(name)=\(value) was accepted")
        } catch {
            #expect(error.description == message)
        }
    }

    @Test func aPairMayBeLoweredTogether() throws {
        let pair = ["consumer.session.timeout.ms": "1000", "consumer.heartbeat.interval.ms": "200"]
        #expect(try GroupConfiguration(checking: pair, settings: .defaults).consumerSessionMilliseconds == 1_000)
    }

    /// What was stored by a release with other bounds stops nothing.
    @Test func whatIsStoredAndMeansNothingHasNoEffect() {
        let stored = [
            "consumer.session.timeout.ms": "1", "of.another.release": "x", "share.session.timeout.ms": "9000",
        ]
        let group = GroupConfiguration(stored: stored)
        #expect(group.consumerSessionMilliseconds == nil && group.shareSessionMilliseconds == 9_000)
        #expect(group.overrides == stored)
    }

    @Test(
        arguments: [
            ("P1D", 86_400_000), ("PT1H", 3_600_000), ("PT1H30M", 5_400_000), ("pt0.5s", 500), ("PT1,25S", 1_250),
            ("P1DT1S", 86_401_000), ("PT0S", 0), ("PT1.0009S", 1_000),
        ] as [(String, Int64)]) func durations(text: String, milliseconds: Int64)
    {
        #expect(ISODuration.milliseconds(text) == milliseconds)
        #expect(ISODuration.milliseconds(ISODuration.text(milliseconds: milliseconds)) == milliseconds)
    }

    @Test(arguments: [
        "", "P", "PT", "1H", "PT1", "P1H", "PT1D", "PT1M1H", "PT1H1H", "PT-1H", "-PT1H", "P1DT", "PT1.5H", "PT.5S",
        "P1Y", "PT1S ", "PT99999999999999999999S", "PT9223372036854775807H", "PTT1H", "PT1HT1M",
    ]) func noDurations(text: String) {
        #expect(ISODuration.milliseconds(text) == nil)
    }

    @Test func theBrokersValuesAreTheDefaults() throws {
        let settings = BrokerSettings.defaults
        let entries = GroupConfigurationCatalogue.effective(
            overrides: ["share.session.timeout.ms": "9000"], settings: settings)
        #expect(
            entries.map { "\($0.definition.name)=\($0.value)" } == [
                "consumer.heartbeat.interval.ms=5000", "consumer.session.timeout.ms=45000",
                "share.auto.offset.reset=latest", "share.heartbeat.interval.ms=5000",
                "share.isolation.level=read_uncommitted", "share.record.lock.duration.ms=30000",
                "share.session.timeout.ms=9000",
            ])
        #expect(entries.filter(\.isOverride).map(\.brokerValue) == ["45000"])
        // What is shown can be set.
        for entry in entries { #expect(try entry.definition.check(entry.brokerValue) == entry.brokerValue) }
        let resolved = try SettingsLoader.load(
            path: nil,
            commandLine: [
                ("share_groups.auto_offset_reset", "by_duration"),
                ("share_groups.auto_offset_reset_duration", "1500ms"),
            ])
        let shown = GroupConfigurationCatalogue.effective(overrides: [:], settings: resolved.typed())
        #expect(shown[2].value == "by_duration:PT1.500S")
        #expect(try shown[2].definition.check(shown[2].value) == shown[2].value)
    }
}
