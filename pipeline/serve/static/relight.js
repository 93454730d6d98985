// A coin's measured relief under a light that the reader moves: Lambert's law, and a little shine.

const SHINE = 0.12;
const SHARPNESS = 24;
const AMBIENT = 0.03;
const LEVELS = 1024;
const TO_LIGHT = Float32Array.from({ length: 256 }, (_, code) => (code / 255 <= 0.04045 ? code / 255 / 12.92 : ((code / 255 + 0.055) / 1.055) ** 2.4));
const TO_CODE = Uint8ClampedArray.from({ length: LEVELS + 1 }, (_, level) => {
  const light = level / LEVELS;
  return 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);
});

export class Relief {
  // `canvas` is drawn on; the image at `address` has normals in its upper half, and the coin's colour in its lower one.
  constructor(canvas, address) {
    this.canvas = canvas;
    this.light = null;
    this.load(address);
  }

  async load(address) {
    const image = Object.assign(new Image(), { src: address });
    await image.decode();
    const [width, height] = [image.naturalWidth, image.naturalHeight / 2];
    Object.assign(this.canvas, { width, height });
    const whole = Object.assign(document.createElement("canvas"), { width, height: 2 * height });
    const context = whole.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const values = context.getImageData(0, 0, width, 2 * height).data;
    const pixels = width * height;
    [this.normals, this.colour] = [new Float32Array(3 * pixels), new Float32Array(3 * pixels)];
    for (let pixel = 0; pixel < pixels; pixel += 1) {
      for (let part = 0; part < 3; part += 1) {
        this.normals[3 * pixel + part] = values[4 * pixel + part] / 127.5 - 1;
        this.colour[3 * pixel + part] = TO_LIGHT[values[4 * (pixels + pixel) + part]];
      }
    }
    this.target = new ImageData(width, height);
    this.draw();
    this.canvas.classList.add("ready");
  }

  // `light` is a unit vector towards the lamp: x to the right, y up, z towards the reader.
  show(light) {
    this.light = light;
    if (this.target) this.draw();
  }

  draw() {
    if (this.light === null) return;
    const [x, y, z] = this.light;
    const long = Math.hypot(x, y, z + 1);
    const [halfX, halfY, halfZ] = [x / long, y / long, (z + 1) / long];
    const { normals, colour, target } = this;
    for (let at = 0, to = 0; at < normals.length; at += 3, to += 4) {
      const lit = AMBIENT + Math.max(0, normals[at] * x + normals[at + 1] * y + normals[at + 2] * z);
      const shine = SHINE * Math.max(0, normals[at] * halfX + normals[at + 1] * halfY + normals[at + 2] * halfZ) ** SHARPNESS;
      const isCoin = colour[at] + colour[at + 1] + colour[at + 2] > 0;
      for (let part = 0; part < 3; part += 1) target.data[to + part] = TO_CODE[Math.min(LEVELS, Math.round(LEVELS * (colour[at + part] * (lit + shine))))];
      target.data[to + 3] = isCoin ? 255 : 0;
    }
    this.canvas.getContext("2d").putImageData(target, 0, 0);
  }
}
