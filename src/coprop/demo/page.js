// The timeline and the table seek the film; the film moves the timeline's head.
(() => {
  const film = () => document.querySelector("#cp-film video");
  const line = () => document.querySelector(".cp-timeline");

  function seek(seconds) {
    const video = film();
    if (video) video.currentTime = Math.max(0, Math.min(seconds, (video.duration || seconds) - 0.02));
  }

  function seekTo(event) {
    const track = line()?.querySelector(".cp-track").getBoundingClientRect();
    if (track) seek((line().dataset.duration * (event.clientX - track.left)) / track.width);
  }

  let dragging = false;
  document.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.target.closest?.(".cp-track")) {
      dragging = true;
      seekTo(event);
    }
  });
  document.addEventListener("pointermove", (event) => dragging && seekTo(event));
  document.addEventListener("pointerup", () => (dragging = false));
  document.addEventListener("pointercancel", () => (dragging = false));

  document.addEventListener("click", (event) => {
    const row = event.target.closest?.(".cp-table tr[data-start]");
    if (row) seek(Number(row.dataset.start));
  });

  document.addEventListener("keydown", (event) => {
    const video = film();
    const on = document.activeElement;
    if (!video || !on) return;
    if (on.matches(".cp-table tr[data-start]") && event.key === "Enter") seek(Number(on.dataset.start));
    if (!on.matches(".cp-timeline")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (step) seek(video.currentTime + step);
    if (event.key === "Home") seek(0);
    if (event.key === "End") seek(video.duration);
    if (event.key === " ") video.paused ? video.play() : video.pause();
    if (step || [" ", "Home", "End"].includes(event.key)) event.preventDefault();
  });

  function follow() {
    const video = film();
    const shown = line();
    if (video && shown) {
      const now = video.currentTime;
      const head = shown.querySelector(".cp-head");
      head.style.left = `${Math.min(100, (100 * now) / shown.dataset.duration)}%`;
      shown.setAttribute("aria-valuenow", now.toFixed(2));
      for (const row of document.querySelectorAll(".cp-table tr[data-start]"))
        row.classList.toggle("cp-now", now >= row.dataset.start && now < row.dataset.end);
    }
    requestAnimationFrame(follow);
  }
  follow();

  // A file that has been made is downloaded as if its link had been clicked.
  window.coprop = {
    take: () =>
      setTimeout(() => {
        const link = document.querySelector("a#cp-file, #cp-file a, #cp-file");
        if (link) link.click();
      }, 150),
  };
})();
