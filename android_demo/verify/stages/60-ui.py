"""Stage ui: every screen under Robolectric, with pictures and coverage."""

import shutil

from android.robolectric import copied_app, coverage, flip, tested, tested_again
from compiling import APP, APP_TESTS, CORE, CORE_TESTS
from stagekit import VERIFY, Failed, main

_TESTS = "org/tfcompress/demo/*Test"
_PICTURES = VERIFY / "app/target/screenshots"


def check() -> str:
    """Runs all tests of the app; Maven fails where coverage is too low."""
    shutil.rmtree(_PICTURES, ignore_errors=True)
    (VERIFY / "app/target/jacoco.exec").unlink(missing_ok=True)
    count = tested(_TESTS, *CORE_TESTS.off, uses=(CORE, APP, APP_TESTS))
    covered, lines = coverage()
    pictures = sorted(_PICTURES.glob("*.png"))
    empty = [picture.name for picture in pictures if picture.stat().st_size < 4_000]
    if empty or len(pictures) < 40:
        raise Failed(f"{len(pictures)} screenshots, these are empty: {empty}")
    return (
        f"{count} Robolectric tests of all screens at API 26 and 35; {covered / lines:.1%} of {lines} lines covered "
        f"(75 % or more); {len(pictures)} screenshots: light, dark, en, zh, turned, tablet, font scale 2, right-to-left"
    )


def flipped_model() -> None:
    """One bit of a bundled model."""
    app = copied_app("ui-control")
    flip(app / "src/main/assets/models/float16.tflite")
    tested_again("DrawScreenTest#a stroke is read once by every variant that can run", app, APP_TESTS)


def lost_dark_theme() -> None:
    """The colours of the night taken away."""
    app = copied_app("ui-control")
    shutil.rmtree(app / "src/main/res/values-night")
    tested_again("SettingsScreenTest#the theme is kept and laid over the system's", app, APP_TESTS)


def small_button() -> None:
    """A button that is too small for a finger."""
    app = copied_app("ui-control")
    sizes = app / "src/main/res/values/dimens.xml"
    sizes.write_text(sizes.read_text("utf-8").replace('name="touch">48dp', 'name="touch">32dp'), "utf-8")
    tested_again("AppearanceTest#phone in English by day", app, APP_TESTS)


if __name__ == "__main__":
    main(
        check,
        {
            "flipped-model": (flipped_model, "every variant that can run"),
            "lost-dark-theme": (lost_dark_theme, "theme is kept"),
            "small-button": (small_button, "too small"),
        },
    )
