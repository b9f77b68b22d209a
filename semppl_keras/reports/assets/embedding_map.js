(() => {
const data = DATA;
const box = document.getElementById("map"), tip = document.getElementById("tip");
const canvas = box.querySelector("canvas"), pen = canvas.getContext("2d");
const shown = data.classes.map(() => true);
let scale = 1, left = 0, top_ = 0, width = 0, height = 0, chosen = -1;
function place(i) {
  const side = Math.min(width, height) - 24;
  return [left + scale * (width / 2 + (data.x[i] - .5) * side),
    top_ + scale * (height / 2 + (data.y[i] - .5) * side)];
}
function draw() {
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const size = Math.min(9, 3.2 * Math.sqrt(scale));
  for (const kind of [0, 1, 2]) for (let i = 0; i < data.x.length; i++) {
    if (data.kind[i] !== kind || !shown[data.color[i]]) continue;
    const [x, y] = place(i);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
    pen.fillStyle = pen.strokeStyle = data.palette[data.color[i]];
    pen.beginPath();
    if (kind === 2) pen.rect(x - size * 1.3, y - size * 1.3, size * 2.6, size * 2.6);
    else pen.arc(x, y, size, 0, 7);
    if (kind === 0) { pen.lineWidth = 1.3; pen.stroke(); } else pen.fill();
    if (kind === 2) { pen.lineWidth = 1.5; pen.strokeStyle = "#111"; pen.stroke(); }
  }
}
function fit() {
  width = box.clientWidth; height = box.clientHeight;
  canvas.width = width * devicePixelRatio; canvas.height = height * devicePixelRatio;
  draw();
}
function zoom(factor, x, y) {
  factor = Math.min(60, Math.max(.5, scale * factor)) / scale;
  left = x - factor * (x - left); top_ = y - factor * (y - top_); scale *= factor;
  draw();
}
function show(x, y) {
  let best = 18 * 18; chosen = -1;
  for (let i = 0; i < data.x.length; i++) {
    if (!shown[data.color[i]]) continue;
    const [a, b] = place(i), far = (a - x) ** 2 + (b - y) ** 2;
    if (far < best) { best = far; chosen = i; }
  }
  tip.style.display = chosen < 0 ? "none" : "block";
  if (chosen < 0) return;
  const [a, b] = place(chosen), across = data.across;
  const picture = tip.firstElementChild;
  picture.style.backgroundImage = "url(" + data.sprite + ")";
  picture.style.backgroundSize = across * 120 + "px";
  picture.style.backgroundPosition = -120 * (chosen % across) + "px " +
    -120 * Math.floor(chosen / across) + "px";
  tip.lastElementChild.textContent = data.text[chosen];
  tip.style.left = Math.max(0, Math.min(a + 14, width - 140)) + "px";
  tip.style.top = Math.max(0, Math.min(b + 14, height - tip.offsetHeight - 4)) + "px";
}
const pointers = new Map();
let spread = 0;
canvas.addEventListener("pointerdown", e => {
  canvas.setPointerCapture(e.pointerId);
  pointers.set(e.pointerId, [e.offsetX, e.offsetY]); spread = 0;
});
for (const name of ["pointerup", "pointercancel"])
  canvas.addEventListener(name, e => { pointers.delete(e.pointerId); spread = 0; });
canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
canvas.addEventListener("pointermove", e => {
  const before = pointers.get(e.pointerId);
  if (!before) { show(e.offsetX, e.offsetY); return; }
  pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
  tip.style.display = "none";
  if (pointers.size === 1) {
    left += e.offsetX - before[0]; top_ += e.offsetY - before[1]; draw();
  } else {
    const [a, b] = [...pointers.values()];
    const now = Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (spread) zoom(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    spread = now;
  }
});
canvas.addEventListener("click", e => show(e.offsetX, e.offsetY));
canvas.addEventListener("wheel", e => {
  e.preventDefault(); zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY);
}, {passive: false});
document.getElementById("in").onclick = () => zoom(1.6, width / 2, height / 2);
document.getElementById("out").onclick = () => zoom(1 / 1.6, width / 2, height / 2);
document.getElementById("whole").onclick = () => {
  scale = 1; left = top_ = 0; draw();
};
document.querySelectorAll("#classes button").forEach((button, i) => {
  button.onclick = () => {
    shown[i] = !shown[i]; button.setAttribute("aria-pressed", shown[i]); draw();
  };
});
new ResizeObserver(fit).observe(box);
fit();
})();
