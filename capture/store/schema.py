"""The tables of ``index.sqlite``, as migrations that only ever go forward.

A store written by any earlier version is brought up to date when it is opened. Never edit a migration that has been
released: add the next one.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("store")

FIRST = (
    """
    CREATE TABLE coin (
        id TEXT PRIMARY KEY,            -- accession number, or a catalogue's own name for the specimen
        type TEXT,                      -- what it depicts, or its denomination; many coins share one
        diameter_mm REAL
    ) STRICT
    """,
    """
    CREATE TABLE tray (
        id TEXT PRIMARY KEY
    ) STRICT
    """,
    """
    CREATE TABLE slot (                 -- what the tray file last said; a session keeps its own copy
        tray_id TEXT NOT NULL REFERENCES tray(id),
        number INTEGER NOT NULL CHECK (number >= 1),
        coin_id TEXT REFERENCES coin(id),
        PRIMARY KEY (tray_id, number)
    ) STRICT
    """,
    """
    CREATE TABLE file (                 -- content-addressed bytes under files/
        sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
        suffix TEXT NOT NULL,           -- ".jxl", ".jpg"
        size INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE calibration (
        id TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        folder TEXT NOT NULL            -- under the lab's calibrations/
    ) STRICT
    """,
    """
    CREATE TABLE session (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('scan', 'import')),
        name TEXT NOT NULL,             -- the tray, or the imported folder
        tray TEXT,                      -- JSON, frozen; NULL when imported
        plan TEXT,                      -- JSON, frozen; NULL when imported
        calibration_id TEXT REFERENCES calibration(id),
        devices TEXT NOT NULL,          -- JSON list of what each device said of itself
        software TEXT NOT NULL,
        started_at TEXT NOT NULL,
        finished_at TEXT                -- NULL while there is something left to do
    ) STRICT
    """,
    """
    CREATE TABLE shot (
        session_id TEXT NOT NULL REFERENCES session(id),
        id TEXT NOT NULL,
        position INTEGER NOT NULL,      -- in the plan's order
        coin_id TEXT NOT NULL REFERENCES coin(id),
        content TEXT NOT NULL,          -- JSON of which id is the hash
        PRIMARY KEY (session_id, id)
    ) STRICT
    """,
    """
    CREATE TABLE frame (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES session(id),
        shot_id TEXT,                   -- NULL when imported
        attempt INTEGER NOT NULL,       -- 1, then one more for each retake
        placement TEXT NOT NULL,        -- frames of one coin side and placement differ by known angles only
        coin_id TEXT NOT NULL REFERENCES coin(id),
        side TEXT CHECK (side IN ('obverse', 'reverse')),
        sha256 TEXT NOT NULL REFERENCES file(sha256),
        calibrated_sha256 TEXT REFERENCES file(sha256),
        calibration_id TEXT REFERENCES calibration(id),
        camera TEXT,                    -- JSON
        turntable_deg REAL,             -- commanded
        turntable_read_deg REAL,        -- read back
        tilt_deg REAL,
        light TEXT,
        exposure_us INTEGER,
        gain REAL,
        mm_per_pixel REAL,
        quality TEXT NOT NULL,          -- JSON
        quarantine_reason TEXT,         -- NULL when good
        source TEXT,                    -- file name it was imported from
        taken_at TEXT NOT NULL,
        FOREIGN KEY (session_id, shot_id) REFERENCES shot(session_id, id)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX frame_once ON frame(session_id, shot_id) WHERE quarantine_reason IS NULL",
    "CREATE UNIQUE INDEX frame_attempt ON frame(session_id, shot_id, attempt)",
    "CREATE UNIQUE INDEX frame_source ON frame(session_id, source)",
    "CREATE INDEX frame_coin ON frame(coin_id, side)",
    "CREATE INDEX frame_sha256 ON frame(sha256)",
    "CREATE INDEX frame_calibrated ON frame(calibrated_sha256)",
    """
    CREATE TABLE entry (                -- one coin side in one lot or record of a catalogue
        id TEXT PRIMARY KEY,
        coin_id TEXT NOT NULL REFERENCES coin(id),
        side TEXT CHECK (side IN ('obverse', 'reverse')),
        catalogue TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES file(sha256),
        source TEXT NOT NULL,
        box TEXT,                       -- JSON [left, top, right, bottom] px of the side within the picture
        added_at TEXT NOT NULL,
        removed_at TEXT                 -- NULL while it is matched against
    ) STRICT
    """,
    "CREATE INDEX entry_coin ON entry(coin_id)",
    "CREATE INDEX entry_sha256 ON entry(sha256)",
    """
    CREATE TABLE model (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        card TEXT NOT NULL,             -- JSON
        added_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE embedding (            -- of a frame or an entry, by its id
        model_id TEXT NOT NULL REFERENCES model(id),
        image_id TEXT NOT NULL,
        pooled BLOB NOT NULL,           -- float32
        grid BLOB,                      -- float16
        grid_shape TEXT,                -- JSON [channels, rows, columns]
        PRIMARY KEY (model_id, image_id)
    ) STRICT
    """,
    """
    CREATE TABLE match (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES session(id),
        coin_id TEXT NOT NULL REFERENCES coin(id),      -- the coin that was looked for
        model_id TEXT NOT NULL REFERENCES model(id),
        rank INTEGER NOT NULL,
        candidate_coin_id TEXT NOT NULL REFERENCES coin(id),
        entry_id TEXT NOT NULL REFERENCES entry(id),
        score REAL NOT NULL,
        probability REAL NOT NULL,
        evidence TEXT NOT NULL,         -- JSON
        verdict TEXT NOT NULL,          -- of the whole ranking, the same in each of its rows
        created_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX match_session ON match(session_id, coin_id)",
    """
    CREATE TABLE event (                -- the journal: what was done and what happened, in order
        id INTEGER PRIMARY KEY,
        session_id TEXT REFERENCES session(id),
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL            -- JSON
    ) STRICT
    """,
    "CREATE INDEX event_session ON event(session_id, kind)",
)


@migrations()
def m001_first(db: Database) -> None:
    """Create every table of version 0.1."""
    for statement in FIRST:
        db.execute(statement)


SECOND = (
    # The order things were stored in is given by numbers, since the clock may be set back.
    """
    CREATE TABLE sequence (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last INTEGER NOT NULL,          -- the number given out last, to whatever it was
        has_all_records INTEGER NOT NULL -- 0 until every row has a record that tells its number
    ) STRICT
    """,
    *(
        f"ALTER TABLE {table} ADD COLUMN number INTEGER NOT NULL DEFAULT 0"
        for table in ("session", "frame", "entry", "model", "match")
    ),
    *(
        f"UPDATE {table} SET number = each.number FROM (SELECT rowid AS row, {first} + row_number() OVER "
        f"(ORDER BY {order}) AS number FROM {table}) AS each WHERE each.row = {table}.rowid"
        for table, first, order in (
            ("session", "0", "started_at, rowid"),
            ("entry", "(SELECT count(*) FROM session)", "rowid"),
            ("model", "(SELECT count(*) FROM session) + (SELECT count(*) FROM entry)", "added_at, rowid"),
            (
                "frame",
                "(SELECT count(*) FROM session) + (SELECT count(*) FROM entry) + (SELECT count(*) FROM model)",
                "taken_at, rowid",
            ),
        )
    ),
    # the rows of one ranking share the number that its first would have
    """
    UPDATE match SET number = (SELECT count(*) FROM session) + (SELECT count(*) FROM entry)
        + (SELECT count(*) FROM model) + (SELECT count(*) FROM frame) + (
            SELECT max(first.id) FROM match AS first WHERE first.rank = 1 AND first.id <= match.id
            AND first.session_id = match.session_id AND first.coin_id = match.coin_id
        )
    """,
    """
    INSERT INTO sequence SELECT 1, max(number), 0 FROM (
        SELECT number FROM session UNION ALL SELECT number FROM entry UNION ALL SELECT number FROM model
        UNION ALL SELECT number FROM frame UNION ALL SELECT number FROM match UNION ALL SELECT 0
    )
    """,
    *(f"CREATE UNIQUE INDEX {table}_number ON {table}(number)" for table in ("session", "frame", "entry", "model")),
    "CREATE UNIQUE INDEX match_number ON match(number, rank)",
    # Queries that must not slow down as the store grows.
    "CREATE INDEX frame_session ON frame(session_id, number)",
    "DROP INDEX frame_coin",
    "CREATE INDEX frame_coin ON frame(coin_id, side, number)",
    "CREATE INDEX session_name ON session(kind, name, number)",
    "CREATE INDEX session_unfinished ON session(name, number) WHERE finished_at IS NULL AND kind = 'scan'",
    "DROP INDEX match_session",
    "CREATE INDEX match_session ON match(session_id, coin_id, number)",
    "CREATE INDEX embedding_image ON embedding(image_id)",
    "CREATE INDEX event_kind ON event(kind, id)",
    "DROP INDEX event_session",
    "CREATE INDEX event_session ON event(session_id, id)",
    "CREATE INDEX event_coin ON event(json_extract(detail, '$.coin'), id)",
    """
    CREATE TABLE deletion (             -- frames that were deleted by a person: who, when, and why
        frame_id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES session(id),
        shot_id TEXT,
        coin_id TEXT NOT NULL REFERENCES coin(id),
        side TEXT,
        sha256 TEXT NOT NULL,
        calibrated_sha256 TEXT,
        number INTEGER NOT NULL,        -- the frame's
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
)


@migrations()
def m002_order_and_records(db: Database) -> None:
    """Number what is stored, index what is asked often, and make room for tombstones."""
    for statement in SECOND:
        db.execute(statement)


THIRD = (
    """
    CREATE TABLE lot (                  -- what a sale says of a coin; of several versions the latest counts
        number INTEGER PRIMARY KEY,
        coin_id TEXT NOT NULL REFERENCES coin(id),
        catalogue TEXT NOT NULL,        -- the entry's
        content TEXT NOT NULL,          -- JSON
        source TEXT NOT NULL,           -- file, and where in it
        source_sha256 TEXT,
        added_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX lot_coin ON lot(catalogue, coin_id, number)",
    "CREATE INDEX entry_catalogue ON entry(catalogue, number)",
)


@migrations()
def m003_lots(db: Database) -> None:
    """Make room for what sales say of their coins."""
    for statement in THIRD:
        db.execute(statement)


@migrations()
def m004_quarantine(db: Database) -> None:
    """Index frames in quarantine, which are few among many."""
    db.execute("CREATE INDEX frame_quarantined ON frame(session_id, coin_id, number) WHERE quarantine_reason NOT NULL")


@migrations()
def m005_removed_entries(db: Database) -> None:
    """Index what left the catalogue, so that a large one is known to be unchanged without reading it all."""
    db.execute("CREATE INDEX entry_removed ON entry(number) WHERE removed_at NOT NULL")


@migrations()
def m006_tilt_read_back(db: Database) -> None:
    """Make room for the camera's tilt as it was read back."""
    db.execute("ALTER TABLE frame ADD COLUMN tilt_read_deg REAL")


@migrations()
def m007_brackets(db: Database) -> None:
    """Make room for the images that a frame was merged of."""
    db.execute("ALTER TABLE frame ADD COLUMN sources_sha256 TEXT REFERENCES file(sha256)")
    db.execute("CREATE INDEX frame_sources ON frame(sources_sha256) WHERE sources_sha256 NOT NULL")
    db.execute("ALTER TABLE deletion ADD COLUMN sources_sha256 TEXT")


@migrations()
def m008_edge(db: Database) -> None:
    """Let frames show the edge: a constraint cannot be changed, so the table is written again, with its indexes."""
    (table,) = db.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'frame'").fetchone()
    found = db.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'frame' AND sql NOT NULL")
    indexes = [row[0] for row in found.fetchall()]
    db.execute("ALTER TABLE frame RENAME TO frame_before")
    db.execute(
        table.replace("CHECK (side IN ('obverse', 'reverse'))", "CHECK (side IN ('obverse', 'reverse', 'edge'))")
    )
    db.execute("INSERT INTO frame SELECT * FROM frame_before ORDER BY rowid")
    db.execute("DROP TABLE frame_before")
    for index in indexes:
        db.execute(index)
