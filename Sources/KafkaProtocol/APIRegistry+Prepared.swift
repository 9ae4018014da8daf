// SPDX-License-Identifier: Apache-2.0
//
// APIRegistry+Prepared.swift
// APIs that can be read and written, and that nobody is told of: their handlers are not complete yet.

extension APIRegistry {
    /// APIs with codecs and without a service, by rising key; a request for one is answered like an unknown one.
    ///
    /// An entry moves to ``served`` with the change that serves it.
    public static let prepared: [APIDescription] = [
        APIDescription(
            .shareGroupHeartbeat, "ShareGroupHeartbeat", 1...1, flexibleFrom: 0,
            "Enters a share group, lives in it, leaves it."),
        APIDescription(
            .shareGroupDescribe, "ShareGroupDescribe", 1...1, flexibleFrom: 0,
            "Asks for share groups and their members."),
        APIDescription(
            .shareFetch, "ShareFetch", 1...2, flexibleFrom: 0,
            "Acquires records for a member of a share group."),
        APIDescription(
            .shareAcknowledge, "ShareAcknowledge", 1...2, flexibleFrom: 0,
            "Says what became of acquired records."),
        APIDescription(
            .describeShareGroupOffsets, "DescribeShareGroupOffsets", 0...1, flexibleFrom: 0,
            "Asks where share groups start in their partitions."),
        APIDescription(
            .alterShareGroupOffsets, "AlterShareGroupOffsets", 0...0, flexibleFrom: 0,
            "Sets where a share group starts."),
        APIDescription(
            .deleteShareGroupOffsets, "DeleteShareGroupOffsets", 0...0, flexibleFrom: 0,
            "Forgets what a share group knows of topics."),
    ]
}
